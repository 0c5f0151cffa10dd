"""`deploy/slurm.sbatch` on a real Slurm: two tasks of one run, told to stop, queued again, the same bits in the end."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import slurm_cluster
from study_drill import Palmetto

SCRIPT = Path(__file__).resolve().parents[1] / "deploy" / "slurm.sbatch"
RECIPE = f"{Path(__file__).with_name('small_run.py')}:run"
STEPS = 120  # some seconds of them: the signal must come before the last


@pytest.fixture(scope="module")
def slurm(hurried: Palmetto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm_cluster.Slurm]:
    if missing := slurm_cluster.missing():
        pytest.skip(
            f"no Slurm here: {', '.join(missing)} not found (Debian: slurmctld slurmd slurm-client munge)"
        )
    with slurm_cluster.cluster(tmp_path_factory.mktemp("slurm")) as cluster:
        cluster.environment.update(hurried.environment, PALMETTO=f"{sys.executable} -m palmetto.cli")
        yield cluster


@pytest.fixture
def submit(slurm: slurm_cluster.Slurm, corpus: Path) -> Callable[[Path], str]:
    """Hand a run of two tasks to Slurm; returns the job's number."""

    def submit(out: Path) -> str:
        options = [
            "--nodes=1",
            "--ntasks-per-node=2",
            "--cpus-per-task=1",
            "--time=10",
            f"--output={out}.log",
        ]
        train = [RECIPE, "--corpus", corpus, "--out", out, "--train.steps", str(STEPS)]
        return slurm.run("sbatch", "--parsable", *options, SCRIPT, *train).strip()

    return submit


def test_a_job_told_to_stop_is_queued_again_and_ends_with_the_same_bits(
    slurm: slurm_cluster.Slurm, submit: Callable[[Path], str], tmp_path: Path
) -> None:
    ended = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT")
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    assert slurm.wait(submit(straight), ended, 240)["JobState"] == "COMPLETED", Path(
        f"{straight}.log"
    ).read_text()

    number = submit(stopped)
    rows, deadline = stopped / "metrics.jsonl", time.monotonic() + 200
    while not rows.exists() or rows.read_bytes().count(b"\n") < 10:
        going = slurm.job(number)["JobState"] not in ended and time.monotonic() < deadline
        assert going, Path(f"{stopped}.log").read_text()
        time.sleep(0.1)
    # As Slurm itself does before the time is over: to the tasks, not to the script.
    slurm.run("scancel", "--signal=TERM", number)
    job = slurm.wait(number, ended, 240)
    said = Path(f"{stopped}.log").read_text()
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1"), said
    assert "Slurm: process 0 of 2, with 1 of 2 devices" in said
    assert "Slurm: process 1 of 2, with 1 of 2 devices" in said
    assert "palmetto ended with 75: queued again" in said
    assert "going on from the checkpoint of step" in said
    summaries = [json.loads((out / "summary.json").read_text()) for out in (straight, stopped)]
    assert summaries[0]["parameters_sha256"] == summaries[1]["parameters_sha256"]
    assert summaries[0]["final_loss"] == summaries[1]["final_loss"]


def test_what_needs_a_person_ends_the_job(slurm: slurm_cluster.Slurm, tmp_path: Path) -> None:
    options = [
        "--nodes=1",
        "--ntasks-per-node=1",
        "--cpus-per-task=1",
        "--time=10",
        f"--output={tmp_path / 'log'}",
    ]
    number = slurm.run(
        "sbatch", "--parsable", *options, SCRIPT, RECIPE, "--corpus", tmp_path, "--out", tmp_path / "out"
    ).strip()
    job = slurm.wait(number, ("COMPLETED", "FAILED", "CANCELLED"), 60)
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("FAILED", "2:0", "0")
    assert "holds no packed corpus" in (tmp_path / "log").read_text()
