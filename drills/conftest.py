"""What the study drills share: running the command as its own process, one finished study, and looking at folders."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DRILLS = Path(__file__).resolve().parent
RECIPE = f"{DRILLS / 'smoke_study.py'}:study"
SIZES = ("smoke_16", "smoke_24", "smoke_32")


@dataclass
class Palmetto:
    """The command line, run in processes of their own."""

    environment: dict[str, str]

    def start(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "palmetto.cli", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "text": True}
        return subprocess.Popen(command, env=self.environment, **{**pipes, **options})

    def run(self, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments, **options) as process:
            out, err = process.communicate(timeout=900)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def refused(self, *arguments: str | Path, code: int = 2, **options: Any) -> str:
        """Run a command that must fail, and return the one sentence it must end with."""
        done = self.run(*arguments, **options)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        said = [line for line in done.stderr.splitlines() if line.startswith("palmetto: ")]
        assert len(said) == 1, done.stderr
        assert done.stderr.rstrip().endswith(said[0])
        return said[0]


@pytest.fixture(scope="session")
def palmetto(tmp_path_factory: pytest.TempPathFactory) -> Palmetto:
    """One core's worth of threads, so that bits do not depend on the machine; compiled programs are kept."""
    environment = {**os.environ, "NPROC": "1", "JAX_PLATFORMS": "cpu", "HF_HUB_OFFLINE": "1"}
    environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("jax")))
    environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    return Palmetto(environment)


@dataclass(frozen=True)
class Finished:
    """A study that ran through without interruption."""

    folder: Path
    seconds: float


@pytest.fixture(scope="session")
def finished(palmetto: Palmetto, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The shared study; nothing may change it. It runs twice, so that the second one's time holds no compilation."""
    seconds = 0.0
    for name in ("first", "finished"):
        folder = tmp_path_factory.mktemp(name) / "study"
        start = time.monotonic()
        done = palmetto.run("study", RECIPE, "--out", folder)
        seconds = time.monotonic() - start
        assert done.returncode == 0, done.stderr
    print(f"\nthe small study takes {seconds:.0f} s")
    return Finished(folder, seconds)


@pytest.fixture
def copied(finished: Finished, tmp_path: Path) -> Path:
    """A copy of the finished study that a drill may change."""
    return Path(shutil.copytree(finished.folder, tmp_path / "study", copy_function=shutil.copy2))


@pytest.fixture(scope="session")
def tree_hashes() -> Callable[..., dict[str, str]]:
    """Return {path: SHA-256} of every file below a folder; the lock, which holds nothing, left out."""

    def hashes(folder: Path, *without: str) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name not in (".lock", *without)
        }

    return hashes


def without_timing(value: Any) -> Any:
    """Return a JSON value without what is under `timing`."""
    if isinstance(value, dict):
        return {name: without_timing(part) for name, part in value.items() if name != "timing"}
    return [without_timing(part) for part in value] if isinstance(value, list) else value


def results_of(study: Path) -> dict[str, Any]:
    """Return all that must be equal between equal studies: bytes, or JSON values without times, by path.

    Left out: the records of stages (their keys hold nothing else), the pages and events (they show times), the lock,
    and Orbax's files, whose bytes hold times; the weights in them are compared by `parameters_sha256`.
    """
    found: dict[str, Any] = {}
    for path in sorted(path for path in study.rglob("*") if path.is_file()):
        name = path.relative_to(study)
        parts = set(name.parts)
        if parts & {"checkpoints", "tensorboard", "report", ".lock", "study.json", "stage.json"}:
            continue
        if path.suffix == ".json":
            found[str(name)] = without_timing(json.loads(path.read_text()))
        elif path.name == "metrics.jsonl":
            found[str(name)] = [without_timing(json.loads(line)) for line in path.read_text().splitlines()]
        else:
            found[str(name)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@pytest.fixture(scope="session")
def results() -> Callable[[Path], dict[str, Any]]:
    return results_of


@pytest.fixture(scope="session")
def digests() -> Callable[[Path], dict[str, str]]:
    """Return {stage: digest}: what each stage made, as its followers see it."""

    def read(study: Path) -> dict[str, str]:
        records = [json.loads(path.read_text()) for path in sorted(study.rglob("stage.json"))]
        assert all(record["finished"] for record in records)
        return {record["name"]: record["digest"] for record in records}

    return read


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount file systems of so many bytes, where one may."""
    mounted: list[Path] = []

    def mount(size: int) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)
