"""`palmetto train --controller ray` on real processes: equal bits for any number of islands, and through faults."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import island_runs
from island_runs import EVERY, Faults, events
from study_drill import Palmetto

pytest.importorskip("ray", reason="Ray is not installed (pip install 'palmetto[ray]')")

HELPER = Path(island_runs.__file__)
FAULTS = 21


@pytest.fixture(scope="module")
def marked(hurried: Palmetto) -> Iterator[Palmetto]:
    """The command, whose processes and theirs can be told by a variable; none of them may be left at the end."""
    mark = uuid.uuid4().hex
    yield Palmetto({**hurried.environment, "ISLANDS_DRILL": mark})
    # Two agents of Ray's look for a dead controller every so often; the islands themselves are gone at once.
    deadline = time.monotonic() + 100
    while left := processes(mark):
        assert time.monotonic() < deadline, left
        time.sleep(0.5)


def processes(mark: str) -> list[str]:
    """Return the processes that were started under a mark, by their command."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("ISLANDS_DRILL") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def ask(palmetto: Palmetto, *arguments: Any) -> Any:
    """Return what the helper prints."""
    command = [sys.executable, HELPER, *map(str, arguments)]
    done = subprocess.run(command, env=palmetto.environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def several(marked: Palmetto, corpus: Path) -> dict[str, Any]:
    return ask(marked, "several", corpus)


@pytest.mark.parametrize(
    ("transfer", "numbers"), [("float32", (1, 2, 4)), ("bfloat16", (1, 3))], ids=["float32", "bfloat16"]
)
def test_any_number_of_islands_gives_the_bits_of_one_host(
    several: dict[str, Any], marked: Palmetto, corpus: Path, transfer: str, numbers: tuple[int, ...]
) -> None:
    alone = ask(marked, "reference", corpus, transfer, len(several["1 1 float32"]["metrics"]))
    for number in numbers:
        assert several[f"{number} 1 {transfer}"] == alone


def test_islands_of_two_hosts_give_the_same_bits_for_any_number(several: dict[str, Any]) -> None:
    assert several["1 2 float32"] == several["2 2 float32"]


@pytest.mark.parametrize("islands", ["2 1 float32", "2 2 float32"])
def test_islands_train_as_one_mesh_does_to_rounding(several: dict[str, Any], islands: str) -> None:
    for found, expected in zip(several[islands]["metrics"], several["0 1 float32"]["metrics"], strict=True):
        assert found == pytest.approx(expected, rel=1e-4)


def test_an_island_whose_memory_changed_is_named(marked: Palmetto, corpus: Path, tmp_path: Path) -> None:
    said = ask(marked, "damaged", corpus, tmp_path / "damaged")
    assert said.startswith("After step 8 island(s) 1 hold other bits than the 2 that agree")


def test_a_cluster_that_loses_a_machine_goes_on_with_the_same_bits(
    marked: Palmetto, corpus: Path, tmp_path: Path
) -> None:
    """With the machine goes what its island had put into the object store; others took it or it is made again."""
    out = tmp_path / "cluster"
    found = ask(marked, "cluster", corpus, out)
    assert found == ask(marked, "reference", corpus, "float32", len(found["metrics"]))
    assert [row["event"] for row in events(out, "lost", "joined")] == ["lost", "joined"]


def command(corpus: Path, out: Path, *more: str) -> list[str | Path]:
    return [
        *("train", f"{HELPER}:run", "--corpus", corpus, "--out", out, "--controller", "ray"),
        *("--islands.virtual-pods", str(island_runs.PODS), *more),
    ]


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def same(marked: Palmetto, corpus: Path, out: Path) -> None:
    """The steps in a run's log, and its newest checkpoint, are those of one host driven by hand."""
    logged = rows(out)
    alone = ask(marked, "reference", corpus, "float32", len(logged))
    for found, expected in zip(logged, alone["metrics"], strict=True):
        assert {name: found[name] for name in expected} == expected
    assert ask(marked, "saved", out, len(logged)) == alone["sha256"]


def test_a_run_through_twenty_faults_loses_nothing(marked: Palmetto, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "faults"
    faults = Faults(out, seed=4)
    with marked.start(
        *command(corpus, out, "--islands.number", "3", "--islands.timeout-seconds", "6")
    ) as process:
        try:
            for _ in range(FAULTS):
                faults.strike(lambda: process.poll() is None)
            time.sleep(3)
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=120)
    assert process.returncode == 75, said
    struck = len(faults.done) - faults.done.count("pause")
    lost, joined = len(events(out, "lost")), len(events(out, "joined"))
    print(f"\n{len(faults.done)} faults, {lost} islands lost, {joined} joined, {len(rows(out))} steps")
    assert len(faults.done) == FAULTS and {"kill", "stop", "pause"} == set(faults.done)
    assert struck <= lost + 2 and joined >= struck - 3
    assert said.count(" is lost (") == lost
    assert "ray::" not in said and "Traceback" not in said
    same(marked, corpus, out)


def test_a_killed_controller_goes_on_from_its_checkpoint(
    marked: Palmetto, corpus: Path, tmp_path: Path
) -> None:
    out, steps = tmp_path / "controller", 2 * EVERY + 5
    short = ("--train.steps", str(steps), "--train.evaluate-every", str(steps))
    with marked.start(*command(corpus, out, *short)) as process:
        while not (out / "checkpoints" / f"{EVERY:08d}" / "manifest.json").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        (pids := [pid for pids in island_runs.living(out).values() for pid in pids]).sort()
        os.kill(pids[0], signal.SIGSTOP)  # a stopped island must not outlive its controller either
        process.kill()
        process.communicate()
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    said = marked.refused(*command(corpus, out, *short, "--islands.transfer", "bfloat16"))
    assert "describes another run (different: islands)" in said
    done = marked.run(*command(corpus, out, *short, "--islands.number", "1"))
    assert done.returncode == 0, done.stderr
    assert "going on from the checkpoint of step" in done.stderr
    assert len(rows(out)) == steps
    same(marked, corpus, out)


def test_where_no_ray_is_the_run_ends_in_a_sentence(marked: Palmetto, corpus: Path, tmp_path: Path) -> None:
    said = marked.refused(*command(corpus, tmp_path / "none", "--islands.address", "127.0.0.1:1"))
    assert "islands.address 127.0.0.1:1: no Ray there" in said
