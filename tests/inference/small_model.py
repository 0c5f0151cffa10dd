"""A small model with random weights, and the plain way to score: one request at a time, nothing shared."""

from dataclasses import dataclass
from functools import cache

import jax
import numpy as np

from palmetto.inference.types import ScoreRequest
from palmetto.model.config import ModelConfig
from palmetto.model.forward import forward
from palmetto.model.spec import Parameters, initialise

CONFIG = ModelConfig(
    "small", n_layers=2, d_model=16, n_heads=2, head_dim=8, vocab_size=40, sequence_length=96
)


@cache
def parameters() -> Parameters:
    return initialise(CONFIG, jax.random.key(3))


@jax.jit
def _logits(weights: Parameters, tokens: jax.Array) -> jax.Array:
    return forward(weights, tokens, CONFIG)


def logits(tokens: list[int]) -> np.ndarray:
    """Return the logits [tokens, V] of the whole forward pass in float64; what comes after is causal padding."""
    padded = np.zeros((1, CONFIG.sequence_length), np.int32)
    padded[0, : len(tokens)] = tokens
    return np.asarray(_logits(parameters(), padded), np.float64)[0, : len(tokens)]


@dataclass(frozen=True)
class Plain:
    log_prob: float
    greedy: bool
    truncated: int


def plain_score(request: ScoreRequest) -> Plain:
    excess = max(0, len(request.context) + len(request.continuation) - 1 - CONFIG.sequence_length)
    context, continuation = request.context[excess:], request.continuation
    rows = logits([*context, *continuation[:-1]])[len(context) - 1 :]
    normalised = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
    chosen = normalised[np.arange(len(continuation)), list(continuation)]
    return Plain(float(chosen.sum()), bool((rows.argmax(axis=1) == list(continuation)).all()), excess)
