"""Checkpoints: Orbax writes them in the background; our manifest says when one counts.

A checkpoint is the folder `checkpoints/<step>/` with Orbax's `state/` and, written last, `manifest.json` holding
size and SHA-256 of every file, and its own. Without a manifest it does not count (it was interrupted) and is
removed. Orbax notices missing bytes but not changed ones, so a restore verifies the manifest first.
"""

import errno
import logging
import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import orbax.checkpoint as ocp

from palmetto.common.errors import PalmettoError
from palmetto.common.files import hash_json, read_json, sha256_file, write_json

# What Orbax logs of a failed save comes to the user as one sentence instead.
for _name in ("absl", "asyncio"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

_MANIFEST = "manifest.json"
# Per cent of the state's bytes, and bytes besides, that a checkpoint may take on disk before old ones are removed.
_ROOM = 110
_ROOM_FIXED = 1 << 18
FORMAT = 1


class Checkpoints:
    """The checkpoints of one model folder. Use as a context manager: leaving it waits for pending writes."""

    def __init__(self, folder: Path, *, keep: int = 2) -> None:
        self._folder, self._keep = folder.resolve(), keep
        self._orbax = ocp.AsyncCheckpointer(ocp.CompositeCheckpointHandler())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.wait()
        finally:
            self._thread.shutdown()
            self._orbax.close()

    def steps(self) -> list[int]:
        """Return the steps that have a committed checkpoint, oldest first."""
        return committed_steps(self._folder)

    def clear_interrupted(self) -> None:
        """Remove what an interrupted save left behind."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            if path.is_dir() and path.name.isdigit() and not (path / _MANIFEST).exists():
                shutil.rmtree(path)

    def save(self, step: int, state: Any, extra: dict[str, Any] | None = None) -> None:
        """Begin saving `state`; returns once it is copied from the devices. `extra` goes into the manifest.

        Raises:
            PalmettoError: an earlier save failed; earlier checkpoints are intact.
        """
        self.wait()
        folder = self._folder / f"{step:08d}"
        arguments = ocp.args.Composite(
            parameters=ocp.args.StandardSave(state.parameters),
            optimizer=ocp.args.StandardSave(state.optimizer),
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._check_room(folder, state)
            # A step saved again, as after a rewind, does not count until its new files are whole.
            (folder / _MANIFEST).unlink(missing_ok=True)
            self._orbax.save(folder / "state", args=arguments, force=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise _save_failed(folder, error) from error
        self._pending = self._thread.submit(self._commit, folder, step, extra or {})

    @staticmethod
    def _check_room(folder: Path, state: Any) -> None:
        """Refuse a save the disk has no room for, before Orbax's threads meet the end of it one by one."""
        needed = sum(leaf.nbytes for leaf in jax.tree.leaves(state)) * _ROOM // 100 + _ROOM_FIXED
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise OSError(
                errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {free:,} bytes free, {needed:,} needed"
            )

    def wait(self) -> None:
        """Wait until the save under way is committed.

        Raises:
            PalmettoError: it failed.
        """
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()

    def _commit(self, folder: Path, step: int, extra: dict[str, Any]) -> None:
        try:
            self._orbax.wait_until_finished()
            files = {
                str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            }
            manifest = {"format": FORMAT, "step": step, **extra, "files": files}
            write_json(folder / _MANIFEST, {**manifest, "sha256": hash_json(manifest)})
            for old in self.steps()[: -self._keep]:
                # The manifest goes first: a checkpoint half removed must not count.
                (self._folder / f"{old:08d}" / _MANIFEST).unlink()
                shutil.rmtree(self._folder / f"{old:08d}")
        except (OSError, ValueError, RuntimeError) as error:
            raise _save_failed(folder, error) from error


def _save_failed(folder: Path, error: Exception) -> PalmettoError:
    return PalmettoError(
        f"Saving the checkpoint {folder} failed ({error}); earlier checkpoints are intact. Make room or mend the "
        "permissions, then run the same command again."
    )


def committed_steps(folder: Path) -> list[int]:
    """Return the steps under `folder` that have a manifest, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(
        int(path.name) for path in folder.iterdir() if path.name.isdigit() and (path / _MANIFEST).exists()
    )


def verify(folder: Path, step: int) -> dict[str, Any]:
    """Check every file of a checkpoint against its manifest and return the manifest.

    Raises:
        PalmettoError: a file is missing, or has another size or checksum; it is named.
    """
    root = folder / f"{step:08d}"
    manifest = read_json(root / _MANIFEST)
    if manifest.pop("sha256", None) != hash_json(manifest):
        raise PalmettoError(f"Checkpoint {root} is damaged: {_MANIFEST} is not what was written.")
    for name, promised in manifest["files"].items():
        path = root / name
        if not path.exists():
            raise PalmettoError(f"Checkpoint {root} is damaged: {name} is missing.")
        if path.stat().st_size != promised["bytes"] or sha256_file(path) != promised["sha256"]:
            raise PalmettoError(f"Checkpoint {root} is damaged: {name} is not what was written.")
    return manifest


def _restore(folder: Path, step: int, items: dict[str, Any]) -> Any:
    verify(folder, step)
    arguments = {name: ocp.args.StandardRestore(item) for name, item in items.items()}
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as orbax:
        return orbax.restore(
            (folder / f"{step:08d}" / "state").resolve(), args=ocp.args.Composite(**arguments)
        )


def restore_state(folder: Path, step: int, abstract: Any) -> Any:
    """Restore a whole state onto the shardings of `abstract` (a `TrainState` of abstract arrays), verified first."""
    restored = _restore(folder, step, {"parameters": abstract.parameters, "optimizer": abstract.optimizer})
    return jax.tree.unflatten(
        jax.tree.structure(abstract), jax.tree.leaves((restored["parameters"], restored["optimizer"]))
    )


def restore_parameters(folder: Path, step: int, abstract: Any) -> Any:
    """Restore the weights alone onto the shardings of `abstract`, verified first."""
    return _restore(folder, step, {"parameters": abstract})["parameters"]
