"""Where a run begins: a fresh state, another run's weights, or the newest whole checkpoint of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from palmetto.common.errors import PalmettoError
from palmetto.common.files import as_json, read_json, write_json
from palmetto.model.config import ModelConfig
from palmetto.sharding import check_divides
from palmetto.training.checkpoints import Checkpoints, newest_step, restore_parameters, restore_state
from palmetto.training.config import TrainingConfig
from palmetto.training.environment import differences, environment
from palmetto.training.loading import read_model_config
from palmetto.training.rewinds import Rewinds
from palmetto.training.state import TrainState, abstract_state, fresh_optimizer, initial_state


@dataclass(frozen=True)
class Start:
    """Another run's model to begin from, instead of a fresh draw (appendix F; section 5 for finetuning)."""

    folder: Path
    """Its model folder."""

    step: int
    """The checkpoint to take."""

    reset_optimizer: bool = False
    """Whether the optimizer's moments and its count of updates begin anew: finetuning. Otherwise both go on, and
    with the count the learning rate's schedule."""

    @classmethod
    def newest(cls, folder: Path, *, reset_optimizer: bool = False) -> "Start":
        """Begin from a model's newest checkpoint.

        Raises:
            PalmettoError: the folder holds no model, or no finished checkpoint.
        """
        read_model_config(folder)
        return cls(folder, newest_step(folder / "checkpoints"), reset_optimizer)

    def facts(self) -> dict[str, Any]:
        """Return what `config.json` records of it."""
        described = read_json(self.folder / "config.json")
        manifest = read_json(self.folder / "checkpoints" / f"{self.step:08d}" / "manifest.json")
        return {
            "name": described["name"],
            "step": self.step,
            "corpus_hash": described["corpus_hash"],
            "checkpoint_sha256": manifest["sha256"],
            "reset_optimizer": self.reset_optimizer,
        }


def claim(out: Path, described: dict[str, Any]) -> None:
    """Write `config.json`, or check that the folder's is this run's.

    Raises:
        PalmettoError: the folder holds another run; what differs is named.
    """
    path = out / "config.json"
    if path.exists():
        before, now = read_json(path), as_json(described)
        changed = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
        if changed:
            raise PalmettoError(
                f"{path} describes another run (different: {', '.join(changed)}); choose another folder, or move this "
                "one away."
            )
    else:
        write_json(path, described)
    Rewinds(out).begin()


def check_mesh(config: ModelConfig, training: TrainingConfig, mesh: Mesh) -> None:
    """Refuse a mesh that does not divide the model or the batch.

    Raises:
        PalmettoError: names what is not divided and by what.
    """
    check_divides(config, mesh)
    ways = mesh.shape["pod"] * mesh.shape["data"]
    if any(size % (ways * training.microbatches) for size in training.batch_size.sizes):
        raise PalmettoError(
            f"training.batch_size.sizes {training.batch_size.sizes} are divided over {ways} devices (pod x data) and "
            f"{training.microbatches} microbatches; make each a multiple of {ways * training.microbatches}, or set "
            "training.mesh.data to a divisor of them."
        )


def record_environment(
    out: Path, mesh: Mesh, attention: str, done: int, say: Callable[[str], None], name: str
) -> None:
    """Say which attention runs where, and if it is not what the steps so far ran under; keep `environments.json`."""
    path = out / "environments.json"
    processes = jax.process_count()
    now = {**environment(), "processes": processes, "mesh": dict(mesh.shape), "attention": attention}
    say(f"  {name}: attention {attention} on {mesh.size} x {now['device_kind']}")
    entries: list[dict[str, Any]] = read_json(path) if path.exists() else []
    # What was noted of steps that are now made again does not count.
    entries = [entry for entry in entries if entry["after_step"] < done or entry["after_step"] == 0]
    if done and entries:
        changed = differences(entries[-1]["environment"], now)
        if not changed:
            return
        say(
            f"{name}: going on after step {done:,} under another environment ({', '.join(changed)}): the batches are "
            "the same, the bits may differ."
        )
    else:
        entries = []
    write_json(path, [*entries, {"after_step": done, "environment": now}])


def state_at_start(
    config: ModelConfig, training: TrainingConfig, mesh: Mesh, start: Start | None
) -> TrainState:
    """Return the state before the first update.

    Raises:
        PalmettoError: the model to start from has another shape, or its checkpoint is damaged.
    """
    if start is None:
        return initial_state(config, training.optimizer, mesh, training.seed)
    base = read_model_config(start.folder)
    for field in ("n_layers", "d_model", "n_heads", "head_dim", "vocab_size", "norm", "rope_theta"):
        theirs, ours = vars(base)[field], vars(config)[field]
        if theirs != ours:
            raise PalmettoError(
                f"{start.folder} has {field} {theirs} and the model to train has {ours}; begin from a model of "
                "the same shape."
            )
    abstract = abstract_state(config, mesh)
    checkpoints = start.folder / "checkpoints"
    if start.reset_optimizer:
        parameters = restore_parameters(checkpoints, start.step, abstract.parameters)
        return fresh_optimizer(parameters, config, training.optimizer, mesh)
    return restore_state(checkpoints, start.step, abstract)


def restore_or_start(
    config: ModelConfig,
    training: TrainingConfig,
    mesh: Mesh,
    checkpoints: Checkpoints,
    start: Start | None,
    say: Callable[[str], None],
    *,
    at_most: int | None = None,
) -> tuple[int, TrainState]:
    """Return the updates made so far and the state after them.

    Args:
        config: the model.
        training: the run.
        mesh: where it runs.
        checkpoints: the run's own.
        start: where it began, when not from a fresh draw.
        say: prints a line.
        at_most: go back to this update, or before it if its checkpoint is lost.

    Raises:
        PalmettoError: all checkpoints are damaged.
    """
    found = None
    if at_most is None or at_most > 0:
        found = checkpoints.restore_newest(abstract_state(config, mesh), say, at_most)
    if found is not None:
        return found[0], found[1]
    if at_most:
        say(f"{config.name}: no checkpoint at or before step {at_most:,} is left; going back to the start.")
    return 0, jax.block_until_ready(state_at_start(config, training, mesh, start))
