"""A small study on Python 3.12, whose pins bring a newer JAX than 3.11's, in an environment made for it.

Needs a package registry for the installation. `smoke_study.py` is the recipe.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
IS_312 = "import sys, ensurepip, venv; sys.exit(sys.version_info[:2] != (3, 12))"
NO_REGISTRY = ("connection broken by", "No matching distribution found for hatchling")


def runs_312(python: str) -> bool:
    """Say whether `python` runs and is a 3.12: a version manager's shim on PATH may be neither."""
    return subprocess.run([python, "-c", IS_312], capture_output=True).returncode == 0


def find_312() -> str | None:
    named = shutil.which("python3.12")
    managed = sorted(str(path) for path in Path.home().glob(".pyenv/versions/3.12*/bin/python"))
    return next((python for python in (sys.executable, named, *managed) if python and runs_312(python)), None)


def test_a_small_study_runs_on_python_3_12(tmp_path: Path) -> None:
    python = find_312()
    if python is None:
        pytest.skip("no Python 3.12 that runs: neither python3.12 on PATH nor one of pyenv's")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True, env=environment)
    scripts = tmp_path / "venv" / "bin"
    install = [scripts / "python", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", ROOT]
    installed = subprocess.run(install, capture_output=True, text=True, env=environment)
    if installed.returncode and any(sign in installed.stderr for sign in NO_REGISTRY):
        pytest.skip("no package registry could be reached to install from")
    assert installed.returncode == 0, installed.stderr[-3000:]

    out = tmp_path / "study"
    command = [scripts / "palmetto", "study", f"{ROOT / 'drills' / 'smoke_study.py'}:study", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (out / "report" / "index.html").is_file()
