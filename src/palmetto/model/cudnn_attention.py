"""Causal multi-query attention by cuDNN's fused kernel, on NVIDIA GPUs.

Its backward pass makes the scores again from the saved logarithms of the softmax sums, so it never needs
rematerialisation.
"""

from functools import cache

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def cudnn_attention(
    query: Float[Array, "B S H Q"], key: Float[Array, "B S Q"], value: Float[Array, "B S Q"]
) -> Float[Array, "B S H Q"]:
    """Return causal attention with the softmax scale 1/sqrt(Q); bfloat16 or float16 only."""
    return jax.nn.dot_product_attention(
        query,
        key[:, :, None],
        value[:, :, None],
        scale=query.shape[-1] ** -0.5,
        is_causal=True,
        implementation="cudnn",
    )


@cache
def why_not_cudnn(heads: int, head_dim: int, dtype: jnp.dtype) -> str | None:
    """Return why cuDNN cannot run such heads here, as a sentence, or None if it can.

    Which head sizes a GPU's cuDNN has depends on both their versions, so the answer comes from compiling a small
    attention and its gradient.
    """
    if jax.default_backend() != "gpu":
        return f"JAX runs on {jax.default_backend()} here, and cuDNN needs an NVIDIA GPU."
    if dtype not in (jnp.bfloat16, jnp.float16):
        return f"the products are {dtype.name}, and cuDNN has attention for bfloat16 and float16 only."
    query = jax.ShapeDtypeStruct((1, 128, heads, head_dim), dtype)
    shared = jax.ShapeDtypeStruct((1, 128, head_dim), dtype)

    def total(query: Array, key: Array, value: Array) -> Array:
        return cudnn_attention(query, key, value).astype(jnp.float32).sum()

    try:
        jax.jit(jax.grad(total, argnums=(0, 1, 2))).lower(query, shared, shared).compile()
    except (ValueError, NotImplementedError, RuntimeError) as refusal:  # XLA's own error is a RuntimeError
        return f"cuDNN refuses head size {head_dim}: {refusal}."
    return None
