"""Where the steps of a run are made: on one mesh, or elsewhere behind the same four methods."""

from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Array, Int

from palmetto.model.config import ModelConfig
from palmetto.model.execution import ExecutionConfig
from palmetto.training.batches import Batches
from palmetto.training.config import TrainingConfig
from palmetto.training.processes import compile_together
from palmetto.training.state import StepMetrics, TrainState, make_train_step


@runtime_checkable
class Engine(Protocol):
    """Makes steps. The loop hands it states and rows and never looks into a state of its."""

    def begin(self, state: TrainState) -> Any:
        """Return a state that was drawn or restored, as `step` takes it."""

    def step(self, state: Any, rows: Int[np.ndarray, "B *T"]) -> tuple[Any, StepMetrics]:
        """Make one update of a batch's records; the old state is used up. The metrics are what `float()` takes."""

    def fetch(self, state: Any) -> TrainState:
        """Return the state as arrays that can be evaluated, saved and hashed."""

    def close(self) -> None:
        """Let go of what the engine holds."""


class MeshEngine:
    """One program over one mesh; the state is its arrays."""

    def __init__(
        self, config: ModelConfig, training: TrainingConfig, execution: ExecutionConfig, mesh: Mesh
    ) -> None:
        """Prepare the step of a run; `execution` is the run's, its attention resolved."""
        self._step = make_train_step(
            config,
            training.optimizer,
            mesh,
            execution,
            microbatches=training.microbatches,
            seed=training.seed,
        )
        self._compiled: set[tuple[int, ...]] = set()

    def begin(self, state: TrainState) -> TrainState:
        """Return the state itself."""
        return state

    def step(
        self, state: TrainState, rows: Int[np.ndarray | Array, "B *T"]
    ) -> tuple[TrainState, StepMetrics]:
        """Make one update; of several processes each gives the array that `held_rows` read."""
        if rows.shape not in self._compiled:
            compile_together(self._step.lower, state, rows)
            self._compiled.add(rows.shape)
        return self._step(state, rows)

    def fetch(self, state: TrainState) -> TrainState:
        """Return the state itself."""
        return state

    def close(self) -> None:
        """Nothing is held."""


def held_rows(batches: Batches, index: int, sharding: NamedSharding) -> Int[Array, "B *T"]:
    """Return batch `index` as one array over all processes' devices; no record of another process's is read."""
    size = batches.size(index)

    def slots(place: Any) -> tuple[int, int]:
        first, end, _ = place[0].indices(size)
        return first, end

    places = sharding.addressable_devices_indices_map((size, 1)).values()
    held = {(first, end): batches.rows(index, first, end) for first, end in set(map(slots, places))}
    shape = (size, *next(iter(held.values())).shape[1:])
    return jax.make_array_from_callback(shape, sharding, lambda place: held[slots(place)])
