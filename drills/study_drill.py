"""What the study drills call: the command as its own process, and what must be equal between equal studies."""

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DRILLS = Path(__file__).resolve().parent
RECIPE = f"{DRILLS / 'smoke_study.py'}:study"
SIZES = ("smoke_16", "smoke_24", "smoke_32")


@dataclass
class Palmetto:
    """The command line, run in processes of their own."""

    environment: dict[str, str]

    def start(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "palmetto.cli", *map(str, arguments)]
        pipes = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "stdin": subprocess.DEVNULL,
            "text": True,
        }
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


@dataclass(frozen=True)
class Finished:
    """A study that ran through without interruption."""

    folder: Path
    seconds: float


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
