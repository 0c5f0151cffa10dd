"""The supervisor: who is lost, who only followed, what is started again; and one real run of two processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palmetto.cli.launch import Launch, check_number
from palmetto.cli.main import parse
from palmetto.common.errors import PalmettoError
from palmetto.common.files import write_json, write_json_lines
from palmetto.common.progress import Silent
from palmetto.pathways import launch
from palmetto.pathways.launch import GangLostError, LaunchConfig, supervise
from palmetto.recipes.training import run_recipe
from palmetto.study.single import train_single
from palmetto.tokenizer.config import TokenizerConfig
from palmetto.tokenizer.tokenizer import Tokenizer
from palmetto.tokenizer.train import train_tokenizer
from palmetto.training.signals import StoppedError

# A member: gives signs of life, then does what the words say for its number and this start.
MEMBER = """
import os, signal, sys, time
from palmetto.pathways.heartbeat import give_signs
give_signs()
number, starts = int(os.environ["PALMETTO_PROCESS"]), sys.argv[1:]
with open(os.environ["PALMETTO_HEARTBEAT"] + ".starts", "a+") as stream:
    stream.write("x")
    stream.seek(0)
    start = len(stream.read()) - 1
deed = starts[min(start, len(starts) - 1)].split(",")[number]
print("member", number, "of", os.environ["PALMETTO_PROCESSES"], deed, flush=True)
signal.signal(signal.SIGTERM, lambda *_: os._exit(75))
if deed == "wait": time.sleep(60)
if deed == "stop": os.kill(os.getpid(), signal.SIGSTOP)
if deed.startswith("-"): os.kill(os.getpid(), int(deed[1:]))
os._exit(int(deed))
"""


@pytest.fixture
def gang(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """Supervise members that do as told; returns what was said. Numbers that `divide` is False for are refused."""
    monkeypatch.setattr(launch, "_PROGRAM", (sys.executable, "-c", MEMBER))
    monkeypatch.setattr(launch, "_SETTLE_SECONDS", 0.3)

    def run(*starts: str, divide: Callable[[int], bool] = bool, **options: Any) -> list[str]:
        def check(processes: int) -> None:
            if not divide(processes):
                raise PalmettoError(f"{processes} do not divide")

        said: list[str] = []
        config = LaunchConfig(processes=starts[0].count(",") + 1, **options)
        try:
            supervise(starts, tmp_path, config, check, said.append)
        finally:
            pids = [pid for row in rows(tmp_path, "started") for pid in row["pids"]]
            assert not any(map(alive, pids))
        return said

    return run


def alive(pid: int) -> bool:
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return found.stdout.strip()[:1] not in ("", "Z")


def rows(out: Path, event: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (out / "launches.jsonl").read_text().splitlines()]
    return [row for row in found if row["event"] == event]


def numbers(out: Path) -> list[int]:
    return [row["processes"] for row in rows(out, "started")]


def test_when_all_end_well_so_does_the_launch(gang: Callable[..., list[str]], tmp_path: Path) -> None:
    assert gang("0,0") == []
    assert numbers(tmp_path) == [2]
    assert "member 1 of 2 0" in (tmp_path / "processes" / "1.log").read_text()


def test_one_killed_is_named_and_the_rest_goes_on_with_as_many_as_are_left(
    gang: Callable[..., list[str]], tmp_path: Path
) -> None:
    said = gang("wait,-9,wait", "0,0")
    assert "Process 1" in said[0]
    assert "was killed by SIGKILL" in said[0]
    assert "  | member 1 of 3 -9" in said[0]
    assert numbers(tmp_path) == [3, 2]
    assert [row["lost"] for row in rows(tmp_path, "ended")] == [1, 0]


def test_with_the_same_number_it_goes_on_with_as_many(gang: Callable[..., list[str]], tmp_path: Path) -> None:
    gang("wait,-9", "0,0", same_number=True)
    assert numbers(tmp_path) == [2, 2]


def test_as_many_as_are_left_is_the_most_that_divide(gang: Callable[..., list[str]], tmp_path: Path) -> None:
    said = gang("1,wait,wait,wait", "0,0", divide=lambda processes: processes != 3)
    assert numbers(tmp_path) == [4, 2]
    assert "with 2 process(es)" in said[-1]


def test_without_a_number_that_divides_it_ends(gang: Callable[..., list[str]]) -> None:
    with pytest.raises(GangLostError, match="1 do not divide"):
        gang("wait,-9", divide=lambda processes: processes == 2)


def test_those_that_only_follow_are_not_counted(gang: Callable[..., list[str]], tmp_path: Path) -> None:
    """One is killed, one says that another is gone (69), and JAX aborts one."""
    gang("69,-9,-6,wait", "0,0,0")
    assert numbers(tmp_path) == [4, 3]


def test_where_all_are_stuck_nobody_is_lost(gang: Callable[..., list[str]], tmp_path: Path) -> None:
    said = gang("70,wait", "0,0")
    assert "was stuck" in said[0]
    assert numbers(tmp_path) == [2, 2]


def test_a_stopped_one_is_lost(gang: Callable[..., list[str]], tmp_path: Path) -> None:
    start = time.monotonic()
    said = gang("wait,stop", "0", heartbeat_seconds=3)
    assert "gave no sign of life for 3 s" in said[0]
    assert numbers(tmp_path) == [2, 1]
    assert time.monotonic() - start < 8


def test_what_a_user_can_mend_is_shown_and_not_tried_again(
    gang: Callable[..., list[str]], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as end:
        gang("69,2")
    assert end.value.code == 2
    assert numbers(tmp_path) == [2]


def test_losses_are_bounded(gang: Callable[..., list[str]], tmp_path: Path) -> None:
    with pytest.raises(GangLostError, match="started 2 time"):
        gang("-9", restarts=1, same_number=True)
    assert numbers(tmp_path) == [1, 1]


def test_sigterm_is_handed_on(gang: Callable[..., list[str]], tmp_path: Path) -> None:
    def send() -> None:
        log = tmp_path / "processes" / "1.log"
        while not log.exists() or "member" not in log.read_text():
            time.sleep(0.02)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=send, daemon=True).start()
    with pytest.raises(StoppedError):
        gang("wait,wait")
    assert rows(tmp_path, "ended")[0]["code"] == 75


def test_a_member_whose_launcher_is_gone_ends(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys\n"
        "os.environ['PALMETTO_LAUNCHER'] = str(os.getpid())\n"
        "member = 'import time; from palmetto.pathways.heartbeat import give_signs; give_signs(); time.sleep(60)'\n"
        "print(subprocess.Popen([sys.executable, '-c', member]).pid, flush=True)\n"
    )
    environment = {**os.environ, "PALMETTO_HEARTBEAT": str(tmp_path / "alive")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, check=True)
    deadline = time.monotonic() + 10
    while alive(int(done.stdout)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(int(done.stdout))


@pytest.mark.parametrize(("field", "value"), [("processes", 0), ("restarts", -1), ("heartbeat_seconds", 1.0)])
def test_impossible_options_are_refused(field: str, value: float) -> None:
    with pytest.raises(PalmettoError, match="at least 1, 0 and 3"):
        LaunchConfig(**{field: value})


def test_a_number_that_does_not_divide_is_refused_with_what_would() -> None:
    run = run_recipe("palm_160k")
    check_number(run.model, run.training, 2)
    with pytest.raises(PalmettoError, match=r"3 process\(es\): .* 3 devices"):
        check_number(run.model, run.training, 3)


@pytest.mark.parametrize("between", [[], ["--"]])
def test_the_words_after_train_are_left_to_train(between: list[str]) -> None:
    words = ["train", "palm_160k", "--train.steps", "3", "--help", "--processes", "9"]
    command = parse(["launch", "--processes", "3", "--same-number", *between, *words])
    assert command == Launch(tuple(words), LaunchConfig(processes=3, same_number=True))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Forty records of random tokens, one held-out document, and a tokenizer."""
    folder, length = tmp_path / "packed" / "corpus", 17
    (folder.parent / "tokenizer").mkdir(parents=True)
    folder.mkdir()
    texts = (f"some words {number} and {number**3} more, for a tokenizer; " * 5 for number in range(50))
    train_tokenizer(texts, TokenizerConfig(vocab_size=300), folder.parent / "tokenizer", Silent())
    tokenizer = Tokenizer.load(folder.parent / "tokenizer")
    rng = np.random.default_rng(1)
    rng.integers(0, 300, 40 * length).astype("<u2").tofile(folder / "train.tokens")
    rng.integers(0, 300, 20).astype("<u2").tofile(folder / "heldout.tokens")
    row = {"id": "a", "source": "s", "start": 0, "tokens": 20, "bytes": 31}
    write_json_lines(folder / "heldout.documents.jsonl.gz", [row])
    manifest = {
        "format": 1,
        "sequence_length": length - 1,
        "record_length": length,
        "dtype": "uint16",
        "train_records": 40,
        "train_tokens": 40 * length,
        "heldout_records": 1,
        "heldout_tokens": 20,
        "tokenizer_sha256": tokenizer.sha256,
        "corpus_hash": "c",
    }
    write_json(folder / "manifest.json", manifest)
    return folder.parent


RECIPE = """
from palmetto.model.config import ModelConfig
from palmetto.recipes.training import RunConfig
from palmetto.training.config import TrainingConfig
from palmetto.training.schedules import BatchSize
from palmetto.training.spikes import SpikeConfig


def run():
    model = ModelConfig("tiny", n_layers=1, d_model=8, n_heads=1, head_dim=8, vocab_size=300, sequence_length=16)
    return RunConfig(model, TrainingConfig(3, BatchSize((4,)), checkpoint_every=2, spikes=SpikeConfig(enabled=False)))
"""


def test_two_processes_train_one_model(corpus: Path, tmp_path: Path) -> None:
    """Oracle: one process, in its losses and batches, to design's tolerance."""
    (tmp_path / "tiny.py").write_text(RECIPE)
    recipe = str(tmp_path / "tiny.py") + ":run"
    train_single(run_recipe(recipe), [str(corpus)], tmp_path / "one", Silent())
    environment = {**os.environ, "XLA_FLAGS": "--xla_backend_optimization_level=0"}
    command = [sys.executable, "-m", "palmetto.cli", "launch", "--processes", "2", "train", recipe]
    command += ["--corpus", str(corpus), "--out", str(tmp_path / "two")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    assert [(row["step"], row["batch"], row["tokens"]) for row in one] == [
        (1, 0, 64),
        (2, 1, 128),
        (3, 2, 192),
    ]
    for row, other in zip(one, two, strict=True):
        assert (row["batch"], row["tokens"]) == (other["batch"], other["tokens"])
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-5)
    assert json.loads((tmp_path / "two" / "summary.json").read_text())["steps"] == 3
    assert sorted(path.name for path in (tmp_path / "two" / "processes").iterdir()) == [
        ".lock", "0.alive", "1.alive", "1.log",
    ]  # fmt: skip
