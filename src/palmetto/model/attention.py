"""Multi-query attention (paper, section 2): many query heads over one head of keys and values.

`B` batch, `S` query positions, `T` key positions, `H` heads, `Q` head size.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


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
