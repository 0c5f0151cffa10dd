"""`palmetto launch` with real processes: killed, stopped, interrupted, told to stop, resumed with other numbers."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from launch_run import STEPS
from study_drill import Palmetto, without_timing

RECIPE = f"{Path(__file__).with_name('launch_run.py')}:run"


@pytest.fixture(scope="module")
def straight(hurried: Palmetto, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that nothing disturbed."""
    out = tmp_path_factory.mktemp("straight") / "small"
    done = hurried.run(*command(corpus, out))
    assert done.returncode == 0, done.stderr
    return out


def command(
    corpus: Path, out: Path, *options: str, processes: int = 2, train: tuple[str, ...] = ()
) -> list[Any]:
    words = ["launch", "--processes", str(processes), *options, "train", RECIPE, "--corpus", corpus]
    return [*words, "--out", out, *train]


@pytest.fixture
def begin(hurried: Palmetto, corpus: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a launch into `tmp_path / "small"`, and return when the row of a step is logged."""
    started = []

    def start(step: int, *options: str, **more: Any) -> subprocess.Popen[str]:
        out = tmp_path / "small"
        process = hurried.start(*command(corpus, out, *options, **more))
        started.append(process)
        deadline = time.monotonic() + 150
        while not (out / "metrics.jsonl").exists() or len(rows(out)) < step:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def rows(out: Path) -> list[dict[str, Any]]:
    lines = (out / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    return [without_timing(json.loads(line)) for line in lines if line.endswith(b"\n")]


def launches(out: Path, event: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (out / "launches.jsonl").read_text().splitlines()]
    return [row for row in found if row["event"] == event]


def members(out: Path) -> list[int]:
    """The process numbers of the newest start."""
    pids: list[int] = launches(out, "started")[-1]["pids"]
    return pids


def alive(pids: list[int]) -> list[int]:
    """Those that are neither gone nor dead and not yet buried."""
    found = subprocess.run(
        ["ps", "-o", "pid=,stat=", "-p", ",".join(map(str, pids))], capture_output=True, text=True
    )
    return [int(line.split()[0]) for line in found.stdout.splitlines() if not line.split()[1].startswith("Z")]


def gone(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pids)


def ended(process: subprocess.Popen[str], code: int) -> str:
    _, said = process.communicate(timeout=200)
    assert process.returncode == code, said
    return said


def same_bits(one: Path, other: Path) -> None:
    assert rows(one) == rows(other)
    hashes = [json.loads((out / "summary.json").read_text())["parameters_sha256"] for out in (one, other)]
    assert hashes[0] == hashes[1]


def same_batches_and_losses(one: Path, other: Path) -> None:
    """Losses to design's tolerance of sharded against unsharded float32."""
    left, right = rows(one), rows(other)
    for name in ("step", "batch", "tokens"):
        assert [row[name] for row in left] == [row[name] for row in right] != []
    np.testing.assert_allclose([row["loss"] for row in left], [row["loss"] for row in right], rtol=1e-5)


def test_several_processes_read_the_batches_of_one_and_agree_with_it(
    hurried: Palmetto, corpus: Path, straight: Path, tmp_path: Path
) -> None:
    done = hurried.run("train", RECIPE, "--corpus", corpus, "--out", tmp_path / "one")
    assert done.returncode == 0, done.stderr
    same_batches_and_losses(tmp_path / "one", straight)
    assert json.loads((straight / "environments.json").read_text())[0]["environment"]["devices"] == 2


def test_pods_over_processes_and_a_second_batch_size_agree_with_one_process(
    hurried: Palmetto, corpus: Path, tmp_path: Path
) -> None:
    sizes = (
        "--train.batch-size.sizes",
        "4",
        "8",
        "--train.batch-size.starts",
        "0",
        "6",
        "--train.steps",
        "10",
    )
    done = hurried.run("train", RECIPE, "--corpus", corpus, "--out", tmp_path / "one", *sizes)
    assert done.returncode == 0, done.stderr
    done = hurried.run(*command(corpus, tmp_path / "pods", train=(*sizes, "--train.mesh.pod", "2")))
    assert done.returncode == 0, done.stderr
    same_batches_and_losses(tmp_path / "one", tmp_path / "pods")


def test_one_killed_and_as_many_started_again_gives_the_same_bits(
    begin: Callable[..., subprocess.Popen[str]], straight: Path, tmp_path: Path
) -> None:
    out = tmp_path / "small"
    process = begin(17, "--same-number")
    lost = members(out)[1]
    os.kill(lost, signal.SIGKILL)
    said = ended(process, 0)
    assert f"Process 1 (pid {lost}) was killed by SIGKILL" in said
    assert "going on from the checkpoint of step" in said
    assert [row["processes"] for row in launches(out, "started")] == [2, 2]
    same_bits(straight, out)
    assert not alive(members(out))


def test_of_four_one_killed_goes_on_with_two_because_three_do_not_divide(
    begin: Callable[..., subprocess.Popen[str]], straight: Path, tmp_path: Path
) -> None:
    out = tmp_path / "small"
    process = begin(12, processes=4)
    os.kill(members(out)[0], signal.SIGKILL)
    said = ended(process, 0)
    assert "Process 0" in said
    assert [row["processes"] for row in launches(out, "started")] == [4, 2]
    same_batches_and_losses(straight, out)


def test_a_stopped_one_is_noticed_named_and_the_other_goes_on_alone(
    begin: Callable[..., subprocess.Popen[str]], straight: Path, tmp_path: Path
) -> None:
    out = tmp_path / "small"
    process = begin(17, "--heartbeat-seconds", "4")
    stopped = members(out)[1]
    os.kill(stopped, signal.SIGSTOP)
    assert gone([stopped], 15)
    said = ended(process, 0)
    assert f"Process 1 (pid {stopped}) gave no sign of life for 4 s" in said
    assert [row["processes"] for row in launches(out, "started")] == [2, 1]
    same_batches_and_losses(straight, out)


def test_one_ctrl_c_ends_all(begin: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    process = begin(2)
    pids = members(tmp_path / "small")
    process.send_signal(signal.SIGINT)
    said = ended(process, 130)
    assert said.rstrip().endswith("Stopped.")
    assert not alive(pids)


def test_sigterm_saves_at_one_step_and_two_or_one_go_on(
    begin: Callable[..., subprocess.Popen[str]],
    hurried: Palmetto,
    corpus: Path,
    straight: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "small"
    process = begin(12)
    process.send_signal(signal.SIGTERM)
    said = ended(process, 75)
    stopped = len(rows(out))
    assert f"stopped by SIGTERM; step {stopped} is saved" in said
    assert 12 <= stopped < STEPS
    alone = Path(shutil.copytree(out, tmp_path / "alone"))
    done = hurried.run(*command(corpus, out))
    assert done.returncode == 0, done.stderr
    assert f"going on from the checkpoint of step {stopped}" in done.stderr
    same_bits(straight, out)
    done = hurried.run("train", RECIPE, "--corpus", corpus, "--out", alone)
    assert done.returncode == 0, done.stderr
    assert f"going on after step {stopped} under another environment" in done.stderr
    same_batches_and_losses(straight, alone)


def test_what_one_process_saved_two_go_on_from(
    hurried: Palmetto, corpus: Path, straight: Path, tmp_path: Path
) -> None:
    out = tmp_path / "small"
    with hurried.start("train", RECIPE, "--corpus", corpus, "--out", out) as process:
        while not list((out / "checkpoints").glob("*/manifest.json")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.002)
        process.kill()
        process.communicate()
    done = hurried.run(*command(corpus, out))
    assert done.returncode == 0, done.stderr
    assert "going on from the checkpoint of step" in done.stderr
    same_batches_and_losses(straight, out)


def test_when_the_launcher_is_killed_no_process_is_left(
    begin: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = begin(2)
    pids = members(tmp_path / "small")
    process.kill()
    assert gone(pids, 10)


def open_copy(corpus: Path, tmp_path: Path) -> tuple[Path, Any, Any]:
    """Copy the corpus; returns the copy, what tells the records of a batch, and the copy's tokens, to be changed."""
    from launch_run import run
    from palmetto.training.data import TrainingData, open_batches

    copy = Path(shutil.copytree(corpus, tmp_path / "packed"))
    folder = next(copy.rglob("train.tokens")).parent
    data = TrainingData.packed([folder])
    records = data.sources[0]
    tokens = np.memmap(folder / "train.tokens", records.array.dtype, "r+").reshape(len(records), -1)
    return copy, open_batches(run().training, data), tokens


def test_a_spike_rewinds_in_all_processes(
    hurried: Palmetto, corpus: Path, straight: Path, tmp_path: Path
) -> None:
    """Random tokens are planted where batches 24 to 27 read."""
    planted, batches, tokens = open_copy(corpus, tmp_path)
    for batch in range(24, 28):
        for _, record in batches.record_ids(batch):
            tokens[record] = np.random.default_rng(record).integers(4, 512, tokens.shape[1])
    tokens.flush()
    out = tmp_path / "small"
    done = hurried.run(*command(planted, out))
    assert done.returncode == 0, done.stderr
    assert "small: loss spike from step" in done.stderr
    entry = json.loads((out / "skipped_batches.json").read_text())[0]
    assert entry["first_batch"] <= 24
    assert entry["end_batch"] >= 28
    read = [row["batch"] for row in rows(out)]
    assert len(read) == STEPS
    assert not {*range(24, 28)} & {*read}
    assert entry["to_step"] >= 10
    assert rows(out)[: entry["to_step"]] == rows(straight)[: entry["to_step"]]


def test_what_cannot_be_launched_is_refused_before_any_process_starts(
    hurried: Palmetto, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "none"
    assert "3 devices" in hurried.refused(*command(corpus, out, processes=3))
    assert "--processes 0" in hurried.refused(*command(corpus, out, processes=0))
    assert "`train`" in hurried.refused("launch", "study", "starter")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"--port {port} cannot be used" in hurried.refused(*command(corpus, out, "--port", port))
    assert not (out / "launches.jsonl").exists()


def test_an_error_of_any_process_ends_the_run_with_its_sentence(
    hurried: Palmetto, corpus: Path, tmp_path: Path
) -> None:
    """Token ids beyond the vocabulary, in records that only the second process reads."""
    damaged, batches, tokens = open_copy(corpus, tmp_path)
    tokens[batches.record_ids(6)[-1, 1], 3] = 60_000
    tokens.flush()
    start = time.monotonic()
    done = hurried.run(*command(damaged, tmp_path / "small"))
    assert done.returncode == 2, done.stderr
    assert "holds token ids" in done.stderr
    assert time.monotonic() - start < 60
    assert len(launches(tmp_path / "small", "started")) == 1
