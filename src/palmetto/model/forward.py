"""The forward pass of PaLM (paper, section 2): y = x + MLP(LayerNorm(x)) + Attention(LayerNorm(x)).

Axes: `B` batch, `S` sequence, `D` d_model, `H` heads, `Q` head size, `F` ff, `V` vocabulary, `L` layers.
The same block serves training, scoring and decoding: what differs is only `attend`, which says what the queries
look at (the causal past, a cache, a packed tree of requests).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from palmetto.model.attention import Attend, causal_attention
from palmetto.model.axes import constrain
from palmetto.model.config import ModelConfig
from palmetto.model.execution import ExecutionConfig, resolve_attention, resolve_dtype
from palmetto.model.spec import Blocks, Parameters

PLAIN = ExecutionConfig()
"""Nothing computed twice, nothing dropped, the attention that runs here."""

# Below this depth an unrolled program runs faster than a loop and compiles in a few seconds; above it, compile
# time would grow with depth.
_UNROLL_UP_TO = 8


def normalise(x: Float[Array, "*A D"], config: ModelConfig) -> Float[Array, "*A D"]:
    """Return the float32 norm of the last axis, before any learned scale."""
    x = x.astype(jnp.float32)
    if config.norm == "layernorm":
        x = x - x.mean(axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.square(x).mean(axis=-1, keepdims=True) + config.norm_epsilon)


def rotary_angles(positions: Int[Array, "#B S"], config: ModelConfig) -> tuple[Array, Array]:
    """Return cosine and sine [#B, S, Q/2] of the rotary angles, in float32 (bfloat16 would round position 257)."""
    half = config.head_dim // 2
    frequencies = config.rope_theta ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angles = positions.astype(jnp.float32)[..., None] * frequencies
    return jnp.cos(angles), jnp.sin(angles)


def split_pairs(w: Float[Array, "... Q"]) -> Float[Array, "... Q"]:
    """Move the even columns of a query or key kernel to the front and the odd ones to the back.

    Weights store rotary pairs as neighbours. Reordering the small kernel, queries and keys alike, leaves every
    attention score as it was and lets the large activations be turned as two contiguous halves.
    """
    return w.reshape(*w.shape[:-1], -1, 2).swapaxes(-1, -2).reshape(w.shape)


def rotate(
    x: Float[Array, "... Q"], cos: Float[Array, "... P"], sin: Float[Array, "... P"]
) -> Float[Array, "... Q"]:
    """Turn each pair (x[i], x[i + Q/2]) by its position's angle (RoPE); expects columns from `split_pairs`."""
    halves = x.reshape(*x.shape[:-1], 2, -1)
    # Swapping the halves by index lets the compiler make this one pass; joining two results would be several.
    across = jnp.stack((-sin, sin), axis=-2)
    turned = halves * cos[..., None, :] + halves[..., ::-1, :] * across
    return turned.reshape(x.shape).astype(x.dtype)


def ready_for_products(blocks: Blocks, config: ModelConfig) -> Blocks:
    """Return the kernels in the type of the products, with rotary pairs split.

    Done to all layers at once: within a layer's own step the results would be kept for the backward pass, a copy of
    all weights.
    """
    dtype = resolve_dtype(config)
    cast: Blocks = jax.tree.map(lambda w: w.astype(dtype), blocks)
    return replace(cast, norm_scale=blocks.norm_scale, w_q=split_pairs(cast.w_q), w_k=split_pairs(cast.w_k))


@jax.custom_vjp
def gated(gate: Float[Array, "N F"], up: Float[Array, "N F"]) -> Float[Array, "N F"]:
    """Return SwiGLU's middle, silu(gate) · up; the backward pass keeps these two arrays and no others."""
    return jax.nn.silu(gate) * up


def _gated_slopes(kept: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    gate, up = kept
    opened = jax.nn.sigmoid(gate)
    return slope * up * opened * (1.0 + gate * (1.0 - opened)), slope * gate * opened


gated.defvjp(lambda gate, up: (gated(gate, up), (gate, up)), _gated_slopes)


def block_output(
    x: Float[Array, "B S D"],
    weights: Blocks,
    angles: tuple[Array, Array],
    attend: Attend,
    config: ModelConfig,
) -> tuple[Float[Array, "B S D"], tuple[Array, Array]]:
    """Return what one parallel block adds to the residual stream.

    `weights` holds one layer of `ready_for_products`, without the leading axis.

    Batch and sequence are flattened so that every kernel is one 2-D product: on CPU the gradient of a product with
    two contracted axes runs at half the speed (docs/log.md). Also returns this layer's keys and values [B, S, Q],
    for a cache to keep.
    """
    B, S, D = x.shape
    H, Q = config.n_heads, config.head_dim
    dtype = resolve_dtype(config)
    scale = weights.norm_scale if config.norm == "layernorm" else 1.0 + weights.norm_scale
    h = (normalise(x, config) * scale).astype(dtype)
    h = constrain(h, "batch", "position", "features").reshape(B * S, D)
    cos, sin = angles

    query = (h @ weights.w_q.reshape(D, H * Q)).reshape(B, S, H, Q)
    query = constrain(query, "batch", "position", "heads", "head_dim")
    key = constrain((h @ weights.w_k).reshape(B, S, Q), "batch", "position", "head_dim")
    value = constrain((h @ weights.w_v).reshape(B, S, Q), "batch", "position", "head_dim")
    query = rotate(query, cos[:, :, None], sin[:, :, None])
    key = rotate(key, cos, sin)
    mixed = attend(query, key, value).reshape(B * S, H * Q)
    attention = mixed @ weights.w_o.reshape(H * Q, D)

    gate, up = constrain(h @ weights.w_gate, "batch", "ff"), constrain(h @ weights.w_up, "batch", "ff")
    mlp = gated(gate, up) @ weights.w_down
    added = (attention + mlp).reshape(B, S, D)
    return constrain(added, "batch", "position", "residual"), (key, value)


def run_blocks(
    x: Float[Array, "B S D"],
    blocks: Blocks,
    positions: Int[Array, "#B S"],
    config: ModelConfig,
    make_attend: Callable[[Any], Attend],
    per_layer: Any = None,
) -> tuple[Float[Array, "B S D"], tuple[Array, Array]]:
    """Scan the blocks, which are `ready_for_products`, over their leading axis.

    `per_layer` is a tree with a leading layer axis, such as a cache; `make_attend` receives its slice for the layer
    at hand. Returns the residual stream and all keys and values, each [L, B, S, Q].
    """
    angles = rotary_angles(positions, config)

    def step(x: Array, layer: tuple[Blocks, Any]) -> tuple[Array, tuple[Array, Array]]:
        weights, extra = layer
        added, kept = block_output(x, weights, angles, make_attend(extra), config)
        return x + added, kept

    return jax.lax.scan(step, x, (blocks, per_layer), unroll=_unrolls(config))


def _unrolls(config: ModelConfig) -> bool:
    return config.n_layers <= _UNROLL_UP_TO


def drop(x: Float[Array, "B S D"], key: Key[Array, ""], rate: float) -> Float[Array, "B S D"]:
    """Zero a share `rate` of the features and scale the others up, so that the expectation stays.

    As T5X does, a sequence draws one mask for all of its positions.
    """
    kept = jax.random.bernoulli(key, 1.0 - rate, (x.shape[0], 1, x.shape[2]))
    return jnp.where(kept, x / (1.0 - rate), 0.0)


def embed(parameters: Parameters, tokens: Int[Array, "B S"]) -> Float[Array, "B S D"]:
    """Look the tokens up; E ~ N(0, 1), so the input is not multiplied by sqrt(D)."""
    table = constrain(parameters.embedding, "vocab", "residual")
    return constrain(table[tokens], "batch", "position", "residual")


def hidden_states(
    parameters: Parameters,
    tokens: Int[Array, "B S"],
    config: ModelConfig,
    execution: ExecutionConfig = PLAIN,
    dropout_key: Key[Array, ""] | None = None,
) -> Float[Array, "B S D"]:
    """Return the normalised states before the output matrix, each position seeing its causal past.

    Args:
        parameters: the weights.
        tokens: token ids.
        config: the model.
        execution: how to compute. An attention implementation named here is taken at its word, so that a program
            may be compiled for a machine that is not this one; `resolve_attention` says whether it runs on this one.
        dropout_key: seeds `execution.dropout`, on the embedded tokens and on what each block adds; without a key
            nothing is dropped.
    """
    length = tokens.shape[1]
    if execution.attention == "auto":
        chosen = resolve_attention(execution, replace(config, sequence_length=length))
    else:
        chosen = execution.attention
    attend = causal_attention(chosen)
    # Layers that recompute stay a loop however few they are: in one piece, a compiler sees the same thing computed
    # twice and merges it again. Between two loops it can't, so JAX's own barriers against that are left out.
    unrolled = _unrolls(config) and execution.rematerialisation == "none"
    recompute = partial(jax.checkpoint, prevent_cse=False)
    if execution.rematerialisation == "attention" and chosen == "xla":  # the kernels recompute by themselves
        attend = recompute(attend)
    angles = rotary_angles(jnp.arange(length)[None], config)
    key = dropout_key if execution.dropout > 0.0 else None

    def step(x: Array, layer: tuple[Array, Blocks]) -> tuple[Array, None]:
        number, weights = layer
        added, _ = block_output(x, weights, angles, attend, config)
        if key is not None:
            added = drop(added, jax.random.fold_in(key, number), execution.dropout)
        return x + added, None

    x = embed(parameters, tokens)
    if key is not None:
        x = drop(x, jax.random.fold_in(key, config.n_layers), execution.dropout)
    if execution.rematerialisation == "full":
        step = recompute(step)
    layers = (jnp.arange(config.n_layers), ready_for_products(parameters.blocks, config))
    x, _ = jax.lax.scan(step, x, layers, unroll=unrolled)
    return normalise(x, config)


def scaled_logits(states: Float[Array, "N D"], rows: Float[Array, "V D"]) -> Float[Array, "N V"]:
    """Return float32 logits: states times the embedding's rows, divided by sqrt(D) (section 5)."""
    return jnp.matmul(states, rows.T, preferred_element_type=jnp.float32) * rows.shape[1] ** -0.5


def output_logits(
    parameters: Parameters, hidden: Float[Array, "*A D"], config: ModelConfig
) -> Float[Array, "*A V"]:
    """Return the `scaled_logits` of states over the tied embedding."""
    dtype = resolve_dtype(config)
    flat = hidden.reshape(-1, config.d_model).astype(dtype)
    logits = scaled_logits(flat, parameters.embedding.astype(dtype))
    return logits.reshape(*hidden.shape[:-1], config.vocab_size)


def forward(
    parameters: Parameters,
    tokens: Int[Array, "B S"],
    config: ModelConfig,
    execution: ExecutionConfig = PLAIN,
) -> Float[Array, "B S V"]:
    """Return the logits of every position."""
    return output_logits(parameters, hidden_states(parameters, tokens, config, execution), config)
