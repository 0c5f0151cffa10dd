"""What training carries from step to step, and the step itself: train_step = apply ∘ combine ∘ grad.

The three parts are separate so that pods may compute gradients apart and apply their sum together; on one mesh
they compile into one program and `combine` is the compiler's own reduction.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jax.stages import Lowered
from jaxtyping import Array, Float, Int, Key

from palmetto.model.config import ModelConfig
from palmetto.model.execution import ExecutionConfig
from palmetto.model.forward import PLAIN
from palmetto.model.spec import Parameters, abstract_parameters, initialise, parameter_specs
from palmetto.sharding import batch_sharding, parameter_shardings, replicated
from palmetto.training.loss import LossParts, batch_loss
from palmetto.training.optimizer import AdafactorState, OptimizerConfig, palm_adafactor


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """Weights and optimizer memory; `optimizer.count` is the number of updates made."""

    parameters: Any  # Parameters, or shapes or shardings of the same form
    optimizer: Any  # AdafactorState, likewise


class StepMetrics(NamedTuple):
    """Scalars of one update."""

    loss: Float[Array, ""]  # mean cross-entropy, nats a token
    z_loss: Float[Array, ""]  # already weighted
    grad_norm: Float[Array, ""]  # global norm before clipping
    learning_rate: Float[Array, ""]
    param_norm: Float[Array, ""]  # global norm of the weights after the update


def state_shardings(config: ModelConfig, mesh: Mesh) -> TrainState:
    """Return where every part of the state lives: the moments beside their weights."""
    weights = parameter_shardings(config, mesh)
    return TrainState(weights, AdafactorState(replicated(mesh), weights, weights))


def abstract_state(config: ModelConfig, mesh: Mesh) -> TrainState:
    """Return shapes, types and shardings of the state without allocating it: what a restore needs."""
    weights = abstract_parameters(config)
    shapes = TrainState(weights, AdafactorState(jax.ShapeDtypeStruct((), jnp.int32), weights, weights))
    return jax.tree.map(
        lambda shape, sharding: jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding),
        shapes,
        state_shardings(config, mesh),
    )


def initial_state(config: ModelConfig, optimizer: OptimizerConfig, mesh: Mesh, seed: int) -> TrainState:
    """Draw the weights straight into their shards."""
    transform = palm_adafactor(optimizer, parameter_specs(config))

    def draw(key: Array) -> TrainState:
        parameters = initialise(config, key)
        return TrainState(parameters, transform.init(parameters))

    return jax.jit(draw, out_shardings=state_shardings(config, mesh))(jax.random.key(seed))


def fresh_optimizer(
    parameters: Parameters, config: ModelConfig, optimizer: OptimizerConfig, mesh: Mesh
) -> TrainState:
    """Return a state of given weights whose optimizer has made no update."""
    transform = palm_adafactor(optimizer, parameter_specs(config))
    moments = jax.jit(transform.init, out_shardings=state_shardings(config, mesh).optimizer)
    return TrainState(parameters, moments(parameters))


def gradients(
    parameters: Parameters,
    records: Int[Array, "B *T"],
    config: ModelConfig,
    execution: ExecutionConfig = PLAIN,
    dropout_key: Key[Array, ""] | None = None,
) -> tuple[Parameters, LossParts]:
    """Return the mean gradient over the records and the parts of the loss.

    Args:
        parameters: the weights.
        records: token ids [B, T]; or [B, 2, T], the second plane 1 where a token is a target (finetuning).
        config: the model.
        execution: how to compute.
        dropout_key: seeds dropout; without one nothing is dropped.
    """
    tokens, weights = _targets(records)
    grads, parts = jax.grad(batch_loss, has_aux=True)(
        parameters, tokens, config, execution, weights, dropout_key
    )
    return grads, parts


def _targets(records: Int[Array, "B *T"]) -> tuple[Int[Array, "B T"], Float[Array, "B S"] | None]:
    if records.ndim == 2:
        return records, None
    return records[:, 0], records[:, 1, 1:].astype(jnp.float32)


def accumulated_gradients(
    parameters: Parameters,
    records: Int[Array, "B *T"],
    config: ModelConfig,
    execution: ExecutionConfig,
    microbatches: int,
    dropout_key: Key[Array, ""] | None = None,
) -> tuple[Parameters, LossParts]:
    """Return what `gradients` does, to rounding, from `microbatches` equal parts of the batch one after the other.

    A part counts by the targets in it, so that parts with few do not weigh more than they should. Row r goes to part
    r modulo `microbatches`: rows are divided over devices in blocks, and so every part is divided over all of them.
    """
    if microbatches == 1:
        return gradients(parameters, records, config, execution, dropout_key)
    each = records.shape[0] // microbatches
    parts = records.reshape(each, microbatches, *records.shape[1:]).swapaxes(0, 1)
    _, weights = _targets(records)
    if weights is None:
        shares = jnp.full(microbatches, 1.0 / microbatches, jnp.float32)
    else:
        counts = weights.sum(axis=1).reshape(each, microbatches).sum(axis=0)
        shares = counts / jnp.maximum(counts.sum(), 1.0)

    def add(total: Any, part: tuple[Array, Array, Array]) -> tuple[Any, None]:
        rows, share, number = part
        key = None if dropout_key is None else jax.random.fold_in(dropout_key, number)
        fresh = gradients(parameters, rows, config, execution, key)
        return jax.tree.map(lambda sum_, new: sum_ + share * new, total, fresh), None

    shape = jax.eval_shape(lambda: gradients(parameters, parts[0], config, execution, dropout_key))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shape)
    total, _ = jax.lax.scan(add, zeros, (parts, shares, jnp.arange(microbatches)))
    return total


def apply_gradients(
    state: TrainState, grads: Parameters, parts: LossParts, config: ModelConfig, optimizer: OptimizerConfig
) -> tuple[TrainState, StepMetrics]:
    """Make one update from already combined gradients."""
    transform = palm_adafactor(optimizer, parameter_specs(config))
    updates, optimizer_state = transform.update(grads, state.optimizer, state.parameters)
    parameters = optax.apply_updates(state.parameters, updates)
    metrics = StepMetrics(
        loss=parts.cross_entropy,
        z_loss=parts.z_loss,
        grad_norm=optax.tree.norm(grads),
        learning_rate=optimizer.learning_rate(state.optimizer.count),
        param_norm=optax.tree.norm(parameters),
    )
    return TrainState(parameters, optimizer_state), metrics


class TrainStep:
    """The compiled update (state, records) -> (state, metrics) on its mesh; the old state's memory is reused."""

    def __init__(self, compiled: Any, mesh: Mesh) -> None:
        self._compiled, self._mesh = compiled, mesh

    def _on_mesh(self) -> AbstractContextManager[Any]:
        # What the model says of its activations, and its kernels, find the mesh here.
        return jax.set_mesh(self._mesh) if self._mesh.size > 1 else nullcontext()

    def __call__(self, state: TrainState, records: Any) -> tuple[TrainState, StepMetrics]:
        """Make one update of records [B, T] of int32, on the host or on the devices."""
        with self._on_mesh():
            return self._compiled(state, records)

    def lower(self, state: TrainState, records: Any) -> Lowered:
        """Return the program for arguments of these shapes, ready to be compiled ahead of time."""
        with self._on_mesh():
            return self._compiled.lower(state, records)


def make_train_step(
    config: ModelConfig,
    optimizer: OptimizerConfig,
    mesh: Mesh,
    execution: ExecutionConfig = PLAIN,
    *,
    microbatches: int = 1,
    seed: int = 0,
) -> TrainStep:
    """Return the update of a model on a mesh.

    Args:
        config: the model.
        optimizer: its optimizer.
        mesh: where it runs.
        execution: how it is computed.
        microbatches: parts of a batch that are computed one after the other.
        seed: of dropout, which depends on it and on the number of the update alone.
    """
    shardings = state_shardings(config, mesh)

    def train_step(state: TrainState, records: Array) -> tuple[TrainState, StepMetrics]:
        key = None
        if execution.dropout:
            key = jax.random.fold_in(jax.random.key(seed), state.optimizer.count)
        grads, parts = accumulated_gradients(state.parameters, records, config, execution, microbatches, key)
        return apply_gradients(state, grads, parts, config, optimizer)

    compiled = jax.jit(
        train_step,
        in_shardings=(shardings, batch_sharding(mesh)),
        out_shardings=(shardings, replicated(mesh)),
        donate_argnums=0,
    )
    return TrainStep(compiled, mesh)
