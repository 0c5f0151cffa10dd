"""The Makefile finds an interpreter that really runs, and says so when there is none."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAKE = shutil.which("make")

pytestmark = pytest.mark.skipif(MAKE is None, reason="make is not installed")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The only folder on PATH, beside a copy of the Makefile; its python3 is a shim that fails when run."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    folder = tmp_path / "programs"
    folder.mkdir()
    shim = folder / "python3"
    shim.write_text("#!/bin/sh\necho 'python3: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    return folder


def make_environment(programs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    hidden = {"PATH", "PYTHON", "ARGS", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run(
        [str(MAKE), ".venv/bin/python", *arguments],
        cwd=programs.parent,
        env=environment | {"PATH": str(programs)},
        capture_output=True,
        text=True,
    )


def test_an_interpreter_that_fails_when_run_is_passed_over(programs: Path) -> None:
    (programs / "python3.12").symlink_to(sys.executable)
    done = make_environment(programs)
    assert done.returncode == 0, done.stderr
    assert (programs.parent / ".venv" / "bin" / "python").exists()


def test_without_a_usable_interpreter_the_remedy_is_named(programs: Path) -> None:
    done = make_environment(programs)
    assert done.returncode != 0
    assert "No usable Python 3.11 or later" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_a_named_interpreter_that_does_not_run_is_an_error(programs: Path) -> None:
    (programs / "python3.12").symlink_to(sys.executable)
    done = make_environment(programs, f"PYTHON={programs / 'python3'}")
    assert done.returncode != 0
    assert "does not run" in done.stderr
    assert not (programs.parent / ".venv").exists()
