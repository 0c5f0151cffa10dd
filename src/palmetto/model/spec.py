"""Every weight of a PaLM model on one line: shape, logical axes, initialisation (paper, sections 2 and 5).

From this one tree derive the arrays (`initialise`), their abstract shapes (`abstract_parameters`), their
shardings (`palmetto.sharding`) and their number (`palmetto.model.counts`). Layers are stacked on a leading
axis and scanned.
"""

import math
from dataclasses import dataclass, fields
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from palmetto.model.config import ModelConfig


@dataclass(frozen=True)
class ParameterSpec:
    """What one weight is: enough to count it, place it and draw it."""

    shape: tuple[int, ...]
    """Axis lengths; for weights of the blocks the first is the layer."""

    axes: tuple[str, ...]
    """A logical name for each axis; `palmetto.sharding` maps names to mesh axes."""

    std: float
    """Standard deviation of the initial normal draw; 0 means the constant `mean`."""

    mean: float = 0.0
    """Mean of the initial values."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Blocks:
    """The weights of all blocks, stacked over layers. Leaves are arrays, specs or shardings alike."""

    norm_scale: Any  # [L, D]
    w_q: Any  # [L, D, H, Q]
    w_k: Any  # [L, D, Q]
    w_v: Any  # [L, D, Q]
    w_o: Any  # [L, H, Q, D]
    w_gate: Any  # [L, D, F]
    w_up: Any  # [L, D, F]
    w_down: Any  # [L, F, D]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Parameters:
    """All weights of a model. There are no biases and no scale on the last norm (section 2, released code)."""

    embedding: Any  # [V, D]
    blocks: Blocks


def parameter_specs(config: ModelConfig) -> Parameters:
    """Return the spec tree of `config`.

    Kernels are drawn from N(0, 1/sqrt(n_in)) and embeddings from N(0, 1), the second argument being the standard
    deviation (section 5). The attention and MLP outputs are separate weights, each with its own n_in.
    """
    L, D, H, Q, F, V = (
        config.n_layers,
        config.d_model,
        config.n_heads,
        config.head_dim,
        config.d_ff,
        config.vocab_size,
    )

    def fan_in(n_in: int) -> float:
        return 1.0 / math.sqrt(n_in)

    scale_mean = 1.0 if config.norm == "layernorm" else 0.0
    # fmt: off
    return Parameters(
        embedding=ParameterSpec((V, D), ("vocab", "embed_table"), std=1.0),
        blocks=Blocks(
            norm_scale=ParameterSpec((L, D), ("layer", "embed_norm"), std=0.0, mean=scale_mean),
            w_q=ParameterSpec((L, D, H, Q), ("layer", "embed", "heads", "head_dim"), std=fan_in(D)),
            w_k=ParameterSpec((L, D, Q), ("layer", "embed", "head_dim"), std=fan_in(D)),
            w_v=ParameterSpec((L, D, Q), ("layer", "embed", "head_dim"), std=fan_in(D)),
            w_o=ParameterSpec((L, H, Q, D), ("layer", "heads", "head_dim", "embed"), std=fan_in(H * Q)),
            w_gate=ParameterSpec((L, D, F), ("layer", "embed", "ff"), std=fan_in(D)),
            w_up=ParameterSpec((L, D, F), ("layer", "embed", "ff"), std=fan_in(D)),
            w_down=ParameterSpec((L, F, D), ("layer", "ff", "embed"), std=fan_in(F)),
        ),
    )
    # fmt: on


def named_parameters(tree: Parameters) -> dict[str, Any]:
    """Return the leaves by dotted name (`blocks.w_q`), in the order they are declared in."""
    named = {"embedding": tree.embedding}
    for field in fields(Blocks):
        named[f"blocks.{field.name}"] = getattr(tree.blocks, field.name)
    return named


def map_specs(function: Any, specs: Parameters) -> Parameters:
    """Apply `function` to every `ParameterSpec` of a tree."""
    return jax.tree.map(function, specs, is_leaf=lambda leaf: isinstance(leaf, ParameterSpec))


def abstract_parameters(config: ModelConfig) -> Parameters:
    """Return shapes and types without allocating anything: float32 master weights."""
    return map_specs(lambda spec: jax.ShapeDtypeStruct(spec.shape, jnp.float32), parameter_specs(config))


def initialise(config: ModelConfig, key: Key[Array, ""]) -> Parameters:
    """Draw the initial weights in float32.

    Each weight has a key of its own, folded from its place in the spec tree, so the draw of one weight depends on
    no other and a sharded draw equals an unsharded one.
    """
    specs = parameter_specs(config)
    leaves, structure = jax.tree.flatten(specs, is_leaf=lambda leaf: isinstance(leaf, ParameterSpec))

    def draw(number: int, spec: ParameterSpec) -> Array:
        if spec.std == 0.0:
            return jnp.full(spec.shape, spec.mean, jnp.float32)
        return spec.std * jax.random.normal(jax.random.fold_in(key, number), spec.shape, jnp.float32)

    return jax.tree.unflatten(structure, [draw(number, spec) for number, spec in enumerate(leaves)])
