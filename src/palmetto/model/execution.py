"""How a training step is computed, never what it computes: memory against FLOPs, kernels, chunks, dropout.

Models of any size share these choices; section 4 of the paper makes them for each of its three sizes.
"""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp

from palmetto.common.errors import PalmettoError
from palmetto.model.config import ModelConfig
from palmetto.model.cudnn_attention import why_not_cudnn
from palmetto.model.tpu_attention import why_not_tpu

Rematerialisation = Literal["none", "attention", "full"]
"""What the backward pass computes again: nothing; self-attention (8B, 62B); or the whole block from its input, the
one activation a layer that the 540B saves (section 4, appendix B)."""

Attention = Literal["xla", "cudnn", "tpu"]
"""An implementation of causal multi-query attention: XLA's plain products, cuDNN's fused kernel, a TPU kernel."""


@dataclass(frozen=True)
class ExecutionConfig:
    """How a step is computed. Results are equal to rounding whatever is chosen, but for `dropout`."""

    rematerialisation: Rematerialisation = "none"
    """What the backward pass computes again to save memory; see `docs/rematerialisation.md`."""

    attention: Literal["auto", "xla", "cudnn", "tpu"] = "auto"
    """Attention implementation; `auto` takes the fastest that runs here at the model's head size."""

    loss_chunk: int = 64
    """Positions of each sequence whose logits exist at once. More is faster up to a point and takes more memory:
    batch x loss_chunk x vocabulary x 8 bytes."""

    dropout: float = 0.0
    """Share of activations dropped, for finetuning (0.1 in most of the paper's); pretraining has none."""

    def __post_init__(self) -> None:
        # A config may come from a file, where no type checker has seen these words.
        for field, word, known in (
            ("rematerialisation", self.rematerialisation, ("none", "attention", "full")),
            ("attention", self.attention, ("auto", "xla", "cudnn", "tpu")),
        ):
            if word not in known:
                raise PalmettoError(f"ExecutionConfig.{field} is {word!r}; it is one of {', '.join(known)}.")
        if self.loss_chunk < 1:
            raise PalmettoError(
                f"ExecutionConfig.loss_chunk is {self.loss_chunk}; it must be at least 1 position."
            )
        if not 0.0 <= self.dropout < 1.0:
            raise PalmettoError(f"ExecutionConfig.dropout is {self.dropout}; it must be in [0, 1).")


def resolve_dtype(config: ModelConfig) -> jnp.dtype:
    """Return the type of the matrix products on the devices in use."""
    if config.compute_dtype == "auto":
        return jnp.dtype(jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16)
    return jnp.dtype(config.compute_dtype)


def resolve_attention(execution: ExecutionConfig, config: ModelConfig) -> Attention:
    """Return the attention implementation that runs; the caller prints and records it.

    Raises:
        PalmettoError: the one asked for cannot run here, with the reason.
    """
    if execution.attention == "xla":
        return "xla"
    dtype = resolve_dtype(config)
    refusals = {
        "cudnn": lambda: why_not_cudnn(config.n_heads, config.head_dim, dtype),
        "tpu": lambda: why_not_tpu(config.sequence_length, config.head_dim),
    }
    if execution.attention == "auto":
        kernel: dict[str, Attention] = {"gpu": "cudnn", "tpu": "tpu"}
        choice = kernel.get(jax.default_backend())
        return choice if choice and refusals[choice]() is None else "xla"
    if refusal := refusals[execution.attention]():
        raise PalmettoError(
            f'ExecutionConfig.attention is "{execution.attention}", which cannot run {config.name} here: {refusal} '
            'Use attention="xla", or "auto" for the fastest that runs.'
        )
    return execution.attention
