"""Causal multi-query attention by JAX's splash attention kernel for TPUs: no score ever leaves the chip.

The kernel works in square blocks and skips those that causality masks; its backward pass makes the scores again from
the saved logarithms of the softmax sums, so it never needs rematerialisation.
"""

from functools import cache

import jax
import numpy as np
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel, splash_attention_mask
from jaxtyping import Array, Float

from palmetto.common.errors import PalmettoError

_LANES = 128
"""Width of a TPU vector register: blocks of positions are multiples of it."""

_SMALLEST_HEAD = 64
"""Head sizes 64, 128 and 256 were compiled for a TPU v5e; smaller ones would leave most of a register empty."""

_LARGEST_BLOCK = 512
"""Positions a block; at this size a block of scores and its operands fit the chip's memory at head size 256."""


def why_not_tpu(sequence_length: int, head_dim: int) -> str | None:
    """Return why the kernel cannot run here on such heads, as a sentence, or None if it can."""
    if jax.default_backend() != "tpu":
        return f"JAX runs on {jax.default_backend()} here, and the kernel needs a TPU."
    if sequence_length % _LANES:
        return f"the sequence length is {sequence_length}, and the kernel needs a multiple of {_LANES}."
    if head_dim % _SMALLEST_HEAD:
        return f"the head size is {head_dim}, and the kernel is known to compile for multiples of {_SMALLEST_HEAD}."
    return None


@cache
def _mask(heads: int, length: int) -> splash_attention_mask.MultiHeadMask:
    """Return the causal mask of every head; symbolic, so it takes no memory."""
    return splash_attention_mask.MultiHeadMask(
        [splash_attention_mask.CausalMask((length, length)) for _ in range(heads)]
    )


def tpu_attention(
    query: Float[Array, "B S H Q"],
    key: Float[Array, "B S Q"],
    value: Float[Array, "B S Q"],
    *,
    interpret: bool = False,
) -> Float[Array, "B S H Q"]:
    """Return causal attention with the softmax scale 1/sqrt(Q).

    Args:
        query: a multiple of 128 positions; on a TPU, heads of a multiple of 64.
        key: one head for all queries.
        value: likewise.
        interpret: run the kernel's steps as plain JAX, on any device and slowly: for tests.

    Raises:
        PalmettoError: the positions are no multiple of 128.
    """
    _, S, H, Q = query.shape
    if S % _LANES:
        raise PalmettoError(
            f'attention="tpu" was given {S} positions and needs a multiple of {_LANES}; use attention="xla", or "auto".'
        )
    block = next(size for size in (_LARGEST_BLOCK, 256, _LANES) if S % size == 0)
    kernel = splash_attention_kernel.make_splash_mqa(
        _mask(H, S),
        block_sizes=splash_attention_kernel.BlockSizes(
            block_q=block,
            block_kv=block,
            block_kv_compute=block,
            block_q_dkv=block,
            block_kv_dkv=block,
            block_kv_dkv_compute=block,
            block_q_dq=block,
            block_kv_dq=block,
        ),
        head_shards=1,
        q_seq_shards=1,
        interpret=interpret,
    )
    # The kernel has no scale of its own and wants heads first.
    heads_first = (query * np.asarray(Q**-0.5, query.dtype)).swapaxes(1, 2)
    return jax.vmap(kernel)(heads_first, key, value).swapaxes(1, 2)
