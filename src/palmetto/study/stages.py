"""Stages and their keys: what was made from what, and whether it still stands.

A stage's key is the hash of the recipe fields it reads, the digests of the stages before it, and its own format
number. Key equal and finished: skip. Key equal and not finished: go on. Key different: stop and name what changed;
nothing made is ever overwritten, only moved aside when asked.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palmetto.common.errors import PalmettoError, StageConflictError
from palmetto.common.files import atomic_folder, hash_json, read_json, write_json
from palmetto.training.environment import differences

RECORD = "stage.json"
_ASIDE = "aside"


@dataclass(frozen=True)
class Stage:
    """One stage of a study."""

    name: str
    """Name on the command line and in the records, such as `train/palm_5m`."""

    folder: str
    """Where it writes, below the study folder."""

    format: int
    """Raised when what it writes changes meaning."""

    fields: dict[str, Any]
    """What it reads of the recipe, JSON values by dotted name."""

    after: tuple[str, ...]
    """Names of the stages it reads from."""

    run: Callable[[Path], dict[str, Any]]
    """Does the work in the folder it is given and returns a manifest; what is under `timing` does not count."""

    atomic: bool = True
    """Whether the folder appears only when whole; else the stage resumes inside its folder."""


@dataclass
class Ledger:
    """What happened to each stage in this run."""

    digests: dict[str, str] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)


def without_timing(value: Any) -> Any:
    """Return a JSON value without any `timing`: the part that must be equal between equal runs."""
    if isinstance(value, dict):
        return {name: without_timing(part) for name, part in value.items() if name != "timing"}
    if isinstance(value, list):
        return [without_timing(part) for part in value]
    return value


def _key(stage: Stage, ledger: Ledger) -> tuple[str, dict[str, str]]:
    upstream = {name: ledger.digests[name] for name in stage.after}
    return hash_json({"fields": stage.fields, "upstream": upstream, "format": stage.format}), upstream


def run_stage(
    study: Path, stage: Stage, ledger: Ledger, say: Callable[[str], None], environment: dict[str, Any]
) -> bool:
    """Bring one stage to its end; returns whether there was anything to do.

    Raises:
        StageConflictError: the folder holds results made from something else.
    """
    import time

    folder = study / stage.folder
    key, upstream = _key(stage, ledger)
    identity = {
        "name": stage.name,
        "key": key,
        "format": stage.format,
        "fields": stage.fields,
        "upstream": upstream,
    }
    record = read_json(folder / RECORD) if (folder / RECORD).exists() else None
    if record is None and folder.exists() and (stage.atomic or _holds_files(folder)):
        raise StageConflictError(
            f"{folder} exists but holds no {RECORD}, so it is not this study's; move it away or choose --out NEW."
        )
    if record is not None and record["key"] != key:
        raise StageConflictError(_conflict(study, stage, record, identity))
    if record is not None and record["finished"]:
        ledger.digests[stage.name] = record["digest"]
        ledger.records.append(record)
        return False
    if record is not None and record["environment"] != environment:
        changed = differences(record["environment"], environment)
        say(f"  {stage.name}: going on under another environment ({', '.join(changed)}); bits may differ.")

    start = time.perf_counter()
    spent = record["timing"]["seconds"] if record else 0.0

    def finish(target: Path, manifest: dict[str, Any]) -> dict[str, Any]:
        done = {
            **identity,
            "finished": True,
            "digest": hash_json(without_timing(manifest)),
            "environment": environment,
            "timing": {"seconds": round(spent + time.perf_counter() - start, 3)},
        }
        write_json(target / RECORD, done)
        return done

    if stage.atomic:
        with atomic_folder(folder) as partial:
            done = finish(partial, stage.run(partial))
    else:
        folder.mkdir(parents=True, exist_ok=True)
        begun = {**identity, "finished": False, "environment": environment, "timing": {"seconds": spent}}
        write_json(folder / RECORD, begun)
        done = finish(folder, stage.run(folder))
    ledger.digests[stage.name] = done["digest"]
    ledger.records.append(done)
    return True


def _holds_files(folder: Path) -> bool:
    """Whether there is anything in a folder besides a record that was interrupted before it was whole."""
    return any(path.name != f".{RECORD}.partial" for path in folder.iterdir())


def _conflict(study: Path, stage: Stage, old: dict[str, Any], new: dict[str, Any]) -> str:
    changes = [
        f"{name} was {old['fields'].get(name)!r} and is {new['fields'].get(name)!r}"
        for name in sorted({*old["fields"], *new["fields"]})
        if old["fields"].get(name) != new["fields"].get(name)
    ]
    changes += [
        f"what stage {name} made"
        for name in new["upstream"]
        if old["upstream"].get(name) != new["upstream"][name]
    ]
    if old["format"] != new["format"]:
        changes.append(f"the format of this stage ({old['format']} -> {new['format']})")
    return (
        f"Stage {stage.name} in {study / stage.folder} was made from something else: {'; '.join(changes)}. "
        f"Nothing was touched. Use --out NEW for a new study, or --redo {stage.name} to move this stage and all that "
        "follow from it aside and make them again."
    )


def move_aside(study: Path, stages: Sequence[Stage], name: str) -> list[Path]:
    """Move the folder of a stage, and of every stage that follows from it, under `aside/`; returns where to.

    Raises:
        PalmettoError: there is no stage of that name.
    """
    names = [stage.name for stage in stages]
    if name not in names:
        raise PalmettoError(f"--redo: there is no stage {name!r}; there are {', '.join(names)}.")
    affected = {name}
    for stage in stages:
        if affected & set(stage.after):
            affected.add(stage.name)
    number = 1
    while (study / _ASIDE / str(number)).exists():
        number += 1
    moved = []
    for stage in stages:
        source = study / stage.folder
        if stage.name in affected and source.exists():
            target = study / _ASIDE / str(number) / stage.folder
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
            moved.append(target)
    return moved


@contextmanager
def locked(study: Path) -> Iterator[None]:
    """Hold the study for this process alone; the lock goes with the process, however it ends.

    Raises:
        PalmettoError: another process holds it.
    """
    try:
        study.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(study / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise PalmettoError(
            f"The folder {study} cannot be made or written ({error.strerror}); choose --out NEW."
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PalmettoError(
                f"Another palmetto process is at work in {study}; wait for it, or choose --out NEW."
            ) from None
        yield
    finally:
        os.close(descriptor)
