"""Checkpoints: Orbax writes them in the background; our manifest says when one counts.

A checkpoint is the folder `checkpoints/<step>/` with Orbax's `state/` and, written last, `manifest.json` holding
size and SHA-256 of every file, and its own. Without a manifest it does not count (it was interrupted) and is
removed. Orbax notices missing bytes but not changed ones, so a restore verifies the manifest first.

Of several processes each writes and reads what its devices hold; the manifest, and which checkpoint a restore takes,
are the primary's.
"""

import errno
import logging
import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import orbax.checkpoint as ocp

from palmetto.common.errors import PalmettoError
from palmetto.common.files import hash_json, read_json, sha256_file, write_json
from palmetto.training.processes import once, primary

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

    def __init__(self, folder: Path, *, keep: int = 2, every: int = 1, reach: int = 0) -> None:
        """Keep checkpoints in `folder`.

        Args:
            folder: made when the first is saved.
            keep: how many of the newest are kept,
            every: and of those whose step is a multiple of this,
            reach: all back to the newest that lies so many steps before the newest of all: a rewind's targets.
        """
        self._folder, self._keep, self._every, self._reach = folder.resolve(), keep, every, reach
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
            parameters=_by_layer(state.parameters), optimizer=_by_layer(state.optimizer)
        )
        try:
            once(lambda: self._make_ready(folder, state))
            self._orbax.save(folder / "state", args=arguments, force=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise _save_failed(folder, error) from error
        self._pending = self._thread.submit(self._commit, folder, step, extra or {})

    @staticmethod
    def _make_ready(folder: Path, state: Any) -> None:
        """Make the folder; refuse a save the disk has no room for, before Orbax's threads meet its end one by one."""
        folder.mkdir(parents=True, exist_ok=True)
        needed = sum(leaf.nbytes for leaf in jax.tree.leaves(state)) * _ROOM // 100 + _ROOM_FIXED
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise OSError(
                errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {free:,} bytes free, {needed:,} needed"
            )
        # A step saved again, as after a rewind, does not count until its new files are whole.
        (folder / _MANIFEST).unlink(missing_ok=True)

    def poll(self) -> None:
        """Say of a save that failed in the background, without waiting for one that is still under way.

        Raises:
            PalmettoError: it failed.
        """
        if self._pending is not None and self._pending.done():
            self.wait()

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
            if not primary():
                return
            files = {
                str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            }
            # What the manifest promises must be on the disk before the manifest is.
            for path in [folder / name for name in files]:
                with path.open("rb+") as stream:
                    os.fsync(stream.fileno())
            manifest = {"format": FORMAT, "step": step, **extra, "files": files}
            write_json(folder / _MANIFEST, {**manifest, "sha256": hash_json(manifest)})
            for old in sorted(set(self.steps()) - self._kept()):
                self._remove(old)
        except (OSError, ValueError, RuntimeError) as error:
            raise _save_failed(folder, error) from error

    def _kept(self) -> set[int]:
        """Return the steps to keep of those committed now."""
        steps = self.steps()
        targets = [step for step in steps if step % self._every == 0]
        oldest = max((step for step in targets if step <= steps[-1] - self._reach), default=0)
        return {*steps[-self._keep :], *(step for step in targets if step >= oldest)}

    def _remove(self, step: int) -> None:
        # The manifest goes first: a checkpoint half removed must not count.
        (self._folder / f"{step:08d}" / _MANIFEST).unlink()
        shutil.rmtree(self._folder / f"{step:08d}")

    def drop(self, abandoned: Callable[[int, int], bool]) -> None:
        """Remove the checkpoints that a rewind gave up.

        Args:
            abandoned: says so of (step, rewinds before it was saved).
        """
        self.wait()
        for step in self.steps():
            try:
                rewinds = _read_manifest(self._folder / f"{step:08d}")["rewinds"]
            except PalmettoError:
                continue  # A damaged one is left to `restore_newest`, which tells of it and removes nothing.
            if abandoned(step, rewinds):
                self._remove(step)

    def restore_newest(
        self, abstract: Any, say: Callable[[str], None], at_most: int | None = None
    ) -> tuple[int, Any, dict[str, Any]] | None:
        """Restore the newest whole checkpoint, or None where there was never one.

        A damaged one is told, moved aside as `<step>.damaged` and passed over.

        Args:
            abstract: a `TrainState` of abstract arrays with shardings.
            say: prints a line.
            at_most: take none of a later step than this.

        Returns:
            Its step, the state, and its manifest.

        Raises:
            PalmettoError: there are checkpoints and all of them are damaged.
        """
        step = once(lambda: self._newest_whole(say, at_most))
        if step is None:
            return None
        state = restore_state(self._folder, step, abstract, verified=True)
        return step, state, _read_manifest(self._folder / f"{step:08d}")

    def _newest_whole(self, say: Callable[[str], None], at_most: int | None) -> int | None:
        steps = [step for step in self.steps() if at_most is None or step <= at_most]
        for step in reversed(steps):
            try:
                verify(self._folder, step)
                return step
            except PalmettoError as error:
                folder = self._folder / f"{step:08d}"
                aside = folder.with_suffix(".damaged")
                if aside.exists():
                    shutil.rmtree(aside)
                folder.rename(aside)
                say(f"{error} It is kept as {aside.name}; going back to the checkpoint before it.")
        if steps:
            raise PalmettoError(
                f"Every checkpoint under {self._folder} is damaged; restore one from a backup, or train again in "
                "another folder (a study: --redo)."
            )
        return None


def _by_layer(tree: Any) -> ocp.args.StandardSave:
    """Return how to save a tree: stacked weights in a piece a layer, so that one layer can be read alone."""
    pieces = jax.tree.map(lambda leaf: ocp.SaveArgs(shard_axes=(0,) if leaf.ndim > 2 else ()), tree)
    return ocp.args.StandardSave(tree, save_args=pieces)


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


def newest_step(folder: Path) -> int:
    """Return the step of the newest committed checkpoint under `folder`.

    Raises:
        PalmettoError: there is none.
    """
    steps = committed_steps(folder)
    if not steps:
        raise PalmettoError(f"{folder} holds no finished checkpoint; train the model first.")
    return steps[-1]


def _read_manifest(root: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = read_json(root / _MANIFEST)
    if not isinstance(manifest, dict) or manifest.pop("sha256", None) != hash_json(manifest):
        raise PalmettoError(f"Checkpoint {root} is damaged: {_MANIFEST} is not what was written.")
    return manifest


def verify(folder: Path, step: int) -> dict[str, Any]:
    """Check every file of a checkpoint against its manifest and return the manifest.

    Raises:
        PalmettoError: a file is missing, or has another size or checksum; it is named.
    """
    root = folder / f"{step:08d}"
    manifest = _read_manifest(root)
    for name, promised in manifest["files"].items():
        path = root / name
        if not path.exists():
            raise PalmettoError(f"Checkpoint {root} is damaged: {name} is missing.")
        if path.stat().st_size != promised["bytes"] or sha256_file(path) != promised["sha256"]:
            raise PalmettoError(f"Checkpoint {root} is damaged: {name} is not what was written.")
    return manifest


def _restore(folder: Path, step: int, items: dict[str, Any]) -> Any:
    arguments = {name: ocp.args.StandardRestore(item) for name, item in items.items()}
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as orbax:
        return orbax.restore(
            (folder / f"{step:08d}" / "state").resolve(), args=ocp.args.Composite(**arguments)
        )


def restore_state(folder: Path, step: int, abstract: Any, *, verified: bool = False) -> Any:
    """Restore a whole state onto the shardings of `abstract` (a `TrainState` of abstract arrays).

    Its files are checked against their manifest first, unless they have just been `verified`.
    """
    if not verified:
        verify(folder, step)
    restored = _restore(folder, step, {"parameters": abstract.parameters, "optimizer": abstract.optimizer})
    return jax.tree.unflatten(
        jax.tree.structure(abstract), jax.tree.leaves((restored["parameters"], restored["optimizer"]))
    )


def restore_parameters(folder: Path, step: int, abstract: Any) -> Any:
    """Restore the weights alone onto the shardings of `abstract`, verified first."""
    verify(folder, step)
    return _restore(folder, step, {"parameters": abstract})["parameters"]
