"""The compiled programs of an island (PaLM, figure 2): A makes a virtual pod's gradients, B applies the sum of all.

A is compiled for one virtual pod and run once for each that an island holds; so is what adds two sums. Whatever an
island holds, it runs the same programs on arrays of the same shape, and gets the same bits.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Int

from palmetto.model.config import ModelConfig
from palmetto.model.execution import ExecutionConfig
from palmetto.pathways.islands import IslandsConfig
from palmetto.sharding import batch_sharding, replicated
from palmetto.training.config import TrainingConfig
from palmetto.training.loss import LossParts
from palmetto.training.state import (
    StepMetrics,
    TrainState,
    abstract_state,
    accumulated_gradients,
    apply_gradients,
)

Sum = tuple[Any, LossParts]
"""Gradients and parts of the loss, summed over the virtual pods of a subtree."""


class Components:
    """Component A, the sum of two subtrees, and component B, on one island's mesh."""

    def __init__(
        self,
        model: ModelConfig,
        training: TrainingConfig,
        execution: ExecutionConfig,
        islands: IslandsConfig,
        mesh: Mesh,
    ) -> None:
        """Prepare the programs of a run; `execution` is the run's, its attention resolved."""
        self._rows, self._compiled = batch_sharding(mesh), dict[Any, Any]()
        self._mesh = mesh
        self.state = abstract_state(model, mesh)
        scalar: Any = jax.ShapeDtypeStruct((), jnp.float32, sharding=replicated(mesh))
        self.sum: Sum = (self.state.parameters, LossParts(scalar, scalar))
        homes, state_homes = jax.tree.map(lambda leaf: leaf.sharding, (self.sum, self.state))

        def gradients(parameters: Any, count: Array, pod: Array, records: Array) -> Sum:
            key = None
            if execution.dropout:
                key = jax.random.fold_in(jax.random.fold_in(jax.random.key(training.seed), count), pod)
            return accumulated_gradients(parameters, records, model, execution, training.microbatches, key)

        def as_sent(value: Sum) -> Sum:
            if islands.transfer == "float32":
                return value
            # Not a cast there and back, which the compiler is free to leave out.
            return jax.tree.map(lambda x: jax.lax.reduce_precision(x, 8, 7), value[0]), value[1]

        def add(one: Sum, other: Sum) -> Sum:
            return jax.tree.map(jnp.add, as_sent(one), as_sent(other))

        def update(state: TrainState, total: Sum) -> tuple[TrainState, StepMetrics]:
            grads, parts = jax.tree.map(
                lambda x: x * (1.0 / islands.virtual_pods), total
            )  # a power of two: exact
            return apply_gradients(state, grads, parts, model, training.optimizer)

        self._gradients = jax.jit(gradients, out_shardings=homes)
        self._update = jax.jit(update, out_shardings=(state_homes, replicated(mesh)), donate_argnums=0)
        self.as_sent = jax.jit(as_sent, out_shardings=homes)
        """A subtree's sum as its parent takes it, wherever that is computed."""
        self.add = jax.jit(add, out_shardings=homes)
        """The sum of two subtrees."""

    def compile(self, sequences: int, length: int) -> None:
        """Compile components A and B for virtual pods of so many records of so many tokens."""
        rows = jax.ShapeDtypeStruct((sequences, length), jnp.int32, sharding=self._rows)
        arguments = (self.state.parameters, self.state.optimizer.count, np.int32(0), rows)
        with jax.set_mesh(self._mesh):
            self._compiled[sequences, length] = self._gradients.lower(*arguments).compile()
            if "update" not in self._compiled:
                self._compiled["update"] = self._update.lower(self.state, self.sum).compile()

    def gradients(self, state: TrainState, pod: int, rows: Int[np.ndarray, "B T"]) -> Sum:
        """Run component A on the records of one virtual pod, which every host of the island is given."""
        placed = jax.make_array_from_callback(rows.shape, self._rows, lambda index: rows[index])
        return self._compiled[rows.shape](state.parameters, state.optimizer.count, np.int32(pod), placed)

    def update(self, state: TrainState, total: Sum) -> tuple[TrainState, StepMetrics]:
        """Run component B on the whole tree's sum; the old state's memory is reused."""
        return self._compiled["update"](state, total)
