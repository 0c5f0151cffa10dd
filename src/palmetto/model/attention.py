"""Multi-query attention (paper, section 2): many query heads over one head of keys and values.

`B` batch, `S` query positions, `T` key positions, `H` heads, `Q` head size. `causal_attention` gives training the
implementation it asks for; inference, whose masks are not plainly causal, calls `multi_query_attention`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from palmetto.model.axes import on_mesh, partition
from palmetto.model.cudnn_attention import cudnn_attention
from palmetto.model.execution import Attention
from palmetto.model.tpu_attention import tpu_attention

Attend = Callable[[Array, Array, Array], Array]
"""(query [B S H Q], key [B S Q], value [B S Q]) -> mixed values [B S H Q]."""

# XLA's causal attention takes queries in at most so many pieces, none shorter than that; more pieces leave out more
# of what the mask hides and make a longer program.
_PIECES = 8
_SHORTEST_PIECE = 64


def multi_query_attention(
    query: Float[Array, "B S H Q"],
    key: Float[Array, "B T Q"],
    value: Float[Array, "B T Q"],
    mask: Bool[Array, "#B S T"],
) -> Float[Array, "B S H Q"]:
    """Return softmax(query keyᵀ / sqrt(Q)) value where `mask` is true; the softmax is float32.

    Heads and positions are flattened into one axis: with a single key head every query, whatever its head, meets
    the same matrix, so attention is two plain matrix products an example.
    """
    B, S, H, Q = query.shape
    T = key.shape[1]
    flat = query.reshape(B, S * H, Q)
    scores = jnp.einsum("bnq,btq->bnt", flat, key, preferred_element_type=jnp.float32)
    scores = scores.reshape(B, S, H, T) * (Q**-0.5)
    scores = jnp.where(mask[:, :, None, :], scores, jnp.finfo(jnp.float32).min)
    weights = jax.nn.softmax(scores, axis=-1).astype(value.dtype).reshape(B, S * H, T)
    return jnp.einsum("bnt,btq->bnq", weights, value).reshape(B, S, H, Q)


def causal_mask(length: int) -> Bool[Array, "1 S S"]:
    """Return the mask under which each position sees itself and those before it."""
    return jnp.tril(jnp.ones((length, length), bool))[None]


def causal_pieces(length: int) -> list[tuple[int, int]]:
    """Return the ranges [start, end) of positions whose queries XLA's causal attention takes together."""
    size = max(_SHORTEST_PIECE, -(-length // _PIECES))
    return [(start, min(start + size, length)) for start in range(0, length, size)]


def causal_share(length: int) -> float:
    """Return how much of the S x S scores XLA's causal attention computes: 9/16 for long sequences."""
    return sum((end - start) * end for start, end in causal_pieces(length)) / length**2


def _causal_attention(
    query: Float[Array, "B S H Q"], key: Float[Array, "B S Q"], value: Float[Array, "B S Q"]
) -> Float[Array, "B S H Q"]:
    """Return what `multi_query_attention` does under a causal mask, without most of what the mask would hide.

    A piece of the queries meets only the keys up to its own last position (docs/log.md).
    """
    mask = causal_mask(query.shape[1])
    mixed = [
        multi_query_attention(query[:, start:end], key[:, :end], value[:, :end], mask[:, start:end, :end])
        for start, end in causal_pieces(query.shape[1])
    ]
    return jnp.concatenate(mixed, axis=1)


def causal_attention(implementation: Attention) -> Attend:
    """Return causal attention by the named implementation; all agree to rounding."""
    kernels = {"xla": _causal_attention, "cudnn": cudnn_attention, "tpu": tpu_attention}
    return on_each_device(kernels[implementation])


def on_each_device(kernel: Attend) -> Attend:
    """Give each device its own sequences and heads when a mesh is set (`jax.set_mesh`).

    The compiler cannot divide a kernel written by hand, nor cuDNN's when keys and values are not divided as the
    queries are; with a single key head they are not. Of XLA's products, with heads and positions in one axis, it would
    gather the heads.
    """

    def attend(query: Array, key: Array, value: Array) -> Array:
        if not on_mesh():
            return kernel(query, key, value)
        queries, shared = partition("batch", "position", "heads"), partition("batch")
        divided = jax.shard_map(
            kernel, in_specs=(queries, shared, shared), out_specs=queries, check_vma=False
        )
        return divided(query, key, value)

    return attend
