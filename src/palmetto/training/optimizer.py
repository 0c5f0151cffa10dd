"""PaLM's optimizer: Adafactor without factorisation (paper, section 5), as an optax transformation.

That is Adam's two moments with the update scaled by each weight's root mean square. The order of operations is
T5X's (`t5x/adafactor.py`), whose settings the paper names; the numbered comments below are the seven steps.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from palmetto.model.spec import ParameterSpec
from palmetto.training.schedules import LearningRate


@dataclass(frozen=True)
class OptimizerConfig:
    """Constants of the optimizer; the defaults are section 5's, or T5X's where the paper is silent."""

    learning_rate: LearningRate = LearningRate()
    """Schedule of the learning rate."""

    beta1: float = 0.9
    """Decay of the momentum."""

    beta2_exponent: float = 0.8
    """The second moment decays with 1 - t^-exponent at update t = 1, 2, ...; no bias correction is needed."""

    clip_global_norm: float = 1.0
    """Gradients are scaled down to this global norm when theirs is larger."""

    weight_decay_exponent: float = 2.0
    """Every update shrinks every weight by the current learning rate to this power."""

    clip_update_rms: float = 1.0
    """Each layer's update is scaled down to this root mean square (T5X's default; not stated in the paper)."""

    minimum_parameter_rms: float = 1e-3
    """Floor of the parameter scale, so that a weight at zero can move."""

    epsilon: float = 1e-30
    """Added to squared gradients."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AdafactorState:
    """What the optimizer remembers between updates. Leaves are arrays, shapes or shardings alike."""

    count: Any  # updates made, int32 scalar
    momentum: Any  # tree like the parameters, float32
    second_moment: Any  # tree like the parameters, float32


def _root_mean_square(x: Float[Array, "..."], spec: ParameterSpec) -> Float[Array, "..."]:
    """Root mean square of a weight, one value for each layer where layers are stacked."""
    axes = tuple(range(1, x.ndim)) if spec.axes[0] == "layer" else tuple(range(x.ndim))
    return jnp.sqrt(jnp.mean(jnp.square(x), axis=axes, keepdims=True))


def palm_adafactor(config: OptimizerConfig, specs: Any) -> optax.GradientTransformation:
    """Return the optimizer for parameters that have `specs` (a tree of `ParameterSpec`)."""

    def init(parameters: Any) -> AdafactorState:
        zeros = jax.tree.map(jnp.zeros_like, parameters)
        return AdafactorState(jnp.zeros((), jnp.int32), zeros, jax.tree.map(jnp.zeros_like, parameters))

    def update(gradients: Any, state: AdafactorState, parameters: Any = None) -> tuple[Any, AdafactorState]:
        learning_rate = config.learning_rate(state.count)
        decay = learning_rate**config.weight_decay_exponent
        # 1. clip by the global norm
        norm = optax.tree.norm(gradients)
        clip = jnp.minimum(1.0, config.clip_global_norm / jnp.maximum(norm, jnp.finfo(jnp.float32).tiny))
        # 2. the second moment's decay; zero at the first update
        t = (state.count + 1).astype(jnp.float32)
        beta2 = 1.0 - t**-config.beta2_exponent

        def one(spec: ParameterSpec, g: Array, m: Array, v: Array, p: Array) -> tuple[Array, Array, Array]:
            g = g * clip
            # 3. second moment
            v = beta2 * v + (1.0 - beta2) * (jnp.square(g) + config.epsilon)
            u = g * jax.lax.rsqrt(v)
            # 4. and 5. bound the update's root mean square, scale by learning rate and by the weight's own
            bound = jnp.maximum(1.0, _root_mean_square(u, spec) / config.clip_update_rms)
            scale = jnp.maximum(_root_mean_square(p, spec), config.minimum_parameter_rms)
            u = u * (learning_rate * scale / bound)
            # 6. momentum of the scaled update
            m = config.beta1 * m + (1.0 - config.beta1) * u
            # 7. p becomes (1 - decay) p - m
            return -decay * p - m, m, v

        is_spec = lambda leaf: isinstance(leaf, ParameterSpec)  # noqa: E731
        triples = jax.tree.map(
            one, specs, gradients, state.momentum, state.second_moment, parameters, is_leaf=is_spec
        )
        updates, momentum, second = jax.tree.transpose(
            jax.tree.structure(specs, is_leaf=is_spec), jax.tree.structure((0, 0, 0)), triples
        )
        return updates, AdafactorState(state.count + 1, momentum, second)

    return optax.GradientTransformation(init, update)
