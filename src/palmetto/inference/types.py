"""What goes into the engine and what comes out: exact tokens, exact numbers, no strings."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ScoreRequest:
    """One continuation to be scored after one context."""

    context: tuple[int, ...]
    """Token ids before the continuation; at least one (the end-of-document token stands for an empty text)."""

    continuation: tuple[int, ...]
    """Token ids whose probability is asked for; at least one."""


@dataclass(frozen=True)
class Score:
    """The answer to a `ScoreRequest`."""

    log_prob: float
    """Natural-log probability of the continuation given the context, summed over its tokens."""

    greedy: bool
    """Whether every continuation token was the most probable one at its place."""

    truncated: int
    """How many context tokens were dropped on the left for the request to fit the model's length."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen when generating."""

    max_new_tokens: int
    """Upper bound of new tokens a prompt."""

    temperature: float = 0.0
    """Divides the logits; 0 means greedy decoding."""

    top_k: int = 0
    """Keep this many most probable tokens; 0 keeps all."""

    top_p: float = 1.0
    """Keep the smallest set of tokens whose probability reaches this (nucleus sampling); 1 keeps all."""

    seed: int = 0
    """Seed of the random draws; prompt number and position are folded in, so batching changes nothing."""
