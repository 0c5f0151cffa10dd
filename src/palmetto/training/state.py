"""What training carries from step to step, and the step itself: train_step = apply ∘ combine ∘ grad.

The three parts are separate so that pods may compute gradients apart and apply their sum together; on one mesh
they compile into one program and `combine` is the compiler's own reduction.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from palmetto.model.config import ModelConfig
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


def gradients(
    parameters: Parameters, records: Int[Array, "B T"], config: ModelConfig
) -> tuple[Parameters, LossParts]:
    """Return the mean gradient over the records and the parts of the loss."""
    grads, parts = jax.grad(batch_loss, has_aux=True)(parameters, records, config)
    return grads, parts


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


TrainStep = Callable[[TrainState, Any], tuple[TrainState, StepMetrics]]
"""(state, records [B, T] of int32, host or device) -> (state, metrics)."""


def make_train_step(config: ModelConfig, optimizer: OptimizerConfig, mesh: Mesh) -> TrainStep:
    """Return the compiled update (state, records [B, T]) -> (state, metrics); the old state's memory is reused."""
    shardings = state_shardings(config, mesh)

    def train_step(state: TrainState, records: Array) -> tuple[TrainState, StepMetrics]:
        grads, parts = gradients(state.parameters, records, config)
        return apply_gradients(state, grads, parts, config, optimizer)

    return jax.jit(
        train_step,
        in_shardings=(shardings, batch_sharding(mesh)),
        out_shardings=(shardings, replicated(mesh)),
        donate_argnums=0,
    )
