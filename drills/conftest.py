"""What the study drills share: one finished study, copies of it, and looking at folders."""

import hashlib
import json
import os
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from study_drill import RECIPE, Finished, Palmetto, results_of

LONG = (
    "test_launch.py",
    "test_slurm.py",
    "test_study_resume.py",
    "test_islands.py",
    "test_finetune.py",
    "test_study_bad_input.py",
    "test_plan.py",
    "test_spike_instability.py",
    "test_spike_planted.py",
    "test_train_long.py",
    "test_interop_cohere.py",
    "test_spike_calm.py",
    "test_python312.py",
)
"""Files that take minutes, the longest first: begun early, so that no worker is left with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONG)))


@pytest.fixture(scope="session")
def palmetto(tmp_path_factory: pytest.TempPathFactory) -> Palmetto:
    """One core's worth of threads, so that bits do not depend on the machine; compiled programs are kept."""
    environment = {**os.environ, "NPROC": "1", "JAX_PLATFORMS": "cpu", "HF_HUB_OFFLINE": "1"}
    environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("jax")))
    environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    return Palmetto(environment)


@pytest.fixture(scope="session")
def hurried(palmetto: Palmetto) -> Palmetto:
    """The command where compiling is what takes the time: the compiler is told to hurry."""
    return Palmetto({**palmetto.environment, "XLA_FLAGS": "--xla_backend_optimization_level=0"})


@pytest.fixture(scope="session")
def finished(palmetto: Palmetto, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Finished:
    """The shared study; nothing may change it. It runs twice, so that the second one's time holds no compilation.

    Of two workers of pytest-xdist the first that comes makes it, and the other waits for it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "shared"
    shared.mkdir(exist_ok=True)
    told = shared / "finished.json"
    with FileLock(shared / "finished.lock"):
        if not told.exists():
            seconds = 0.0
            for name in ("first", "finished"):
                start = time.monotonic()
                done = palmetto.run("study", RECIPE, "--out", shared / name)
                seconds = time.monotonic() - start
                assert done.returncode == 0, done.stderr
            print(f"\nthe small study takes {seconds:.0f} s")
            told.write_text(json.dumps(seconds))
    return Finished(shared / "finished", json.loads(told.read_text()))


@pytest.fixture(scope="session")
def corpus(palmetto: Palmetto, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Part of the standard library, packed for the small runs; nothing may change it. Its held-out part begins with a
    short document, for the small runs look at it often."""
    library = Path(sysconfig.get_paths()["stdlib"])
    text = [library / name for name in ("email", "json", "unittest", "importlib")]
    out = tmp_path_factory.mktemp("corpus") / "packed"
    sizes = ["--vocab-size", "512", "--sequence-length", "64"]
    done = palmetto.run("corpus", "--text", *text, *sizes, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


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
