"""The settings of the analyses."""

from dataclasses import dataclass
from typing import cast

from palmetto.common.errors import PalmettoError


def _at_least(owner: str, low: int, **fields: int | float) -> None:
    for name, value in fields.items():
        if value < low:
            raise PalmettoError(f"{owner}.{name} is {value}; it must be at least {low}.")


def _inside_unit(owner: str, **fields: int | float) -> None:
    for name, value in fields.items():
        if not 0 < value < 1:
            raise PalmettoError(f"{owner}.{name} is {value}; it must lie between 0 and 1.")


@dataclass(frozen=True)
class MemorisationConfig:
    """Verbatim memorisation of training spans (PaLM §7)."""

    n_spans: int = 500
    """Random spans of the records consumed; they give the headline rate."""

    n_heldout: int = 500
    """Random spans of the held-out records, to compare with."""

    spans_per_bin: int = 100
    """At most this many distinct spans for each range of repetition counts."""

    n_candidates: int = 20_000
    """Random spans whose repetitions are counted in the search for spans of every range."""

    prompt_tokens: int = 50
    """Tokens of the span that the model is given."""

    generated_tokens: int = 50
    """Tokens of the span that the model has to continue with, greedily and exactly."""

    n_examples: int = 8
    """Spans shown in full."""

    confidence: float = 0.95
    """Coverage of the intervals of the rates."""

    seed: int = 0
    """Seed of the random spans."""

    def __post_init__(self) -> None:
        _at_least("memorisation", 1, n_spans=self.n_spans, prompt_tokens=self.prompt_tokens)
        _at_least("memorisation", 1, generated_tokens=self.generated_tokens)
        _at_least("memorisation", 0, n_heldout=self.n_heldout, spans_per_bin=self.spans_per_bin)
        _at_least(
            "memorisation", 0, n_candidates=self.n_candidates, n_examples=self.n_examples, seed=self.seed
        )
        _inside_unit("memorisation", confidence=self.confidence)


@dataclass(frozen=True)
class ContaminationConfig:
    """Overlap of evaluation items with the training text (PaLM §8)."""

    n: int = 8
    """Units in an n-gram."""

    share: float = 0.7
    """An item is contaminated when at least this share of one part's n-grams occurs in the training text."""

    def __post_init__(self) -> None:
        _at_least("contamination", 1, n=self.n)
        if not 0 < self.share <= 1:
            raise PalmettoError(f"contamination.share is {self.share}; it must lie above 0 and be at most 1.")


@dataclass(frozen=True)
class ScalingConfig:
    """Discontinuity and paired differences between the sizes of a family (PaLM §6.2)."""

    confidence: float = 0.95
    """Coverage of the bootstrap intervals."""

    n_samples: int = 10_000
    """Bootstrap resamples of the items."""

    seed: int = 0
    """Seed of the resampling."""

    def __post_init__(self) -> None:
        _at_least("scaling", 100, n_samples=self.n_samples)
        _at_least("scaling", 0, seed=self.seed)
        _inside_unit("scaling", confidence=self.confidence)


@dataclass(frozen=True)
class SamplesConfig:
    """Completions that a reader can look at, from the same prompts for every size."""

    prompts: tuple[str, ...] = ()
    """Prompts to use; when empty, beginnings of held-out documents are drawn."""

    n_prompts: int = 4
    """Prompts to draw from the held-out documents."""

    prompt_tokens: int = 20
    """Tokens of a drawn prompt."""

    completions: int = 2
    """Completions of each prompt."""

    max_new_tokens: int = 64
    """Upper bound of tokens in a completion."""

    temperature: float = 0.8
    """Divides the logits; 0 means greedy decoding."""

    top_k: int = 40
    """Keep this many most probable tokens; 0 keeps all."""

    top_p: float = 1.0
    """Keep the smallest set of tokens whose probability reaches this; 1 keeps all."""

    seed: int = 0
    """Seed of the drawn prompts and of the sampling."""

    def __post_init__(self) -> None:
        if isinstance(cast(object, self.prompts), str):
            raise PalmettoError(
                f"samples.prompts is the string {self.prompts!r}; give a tuple, as in ({self.prompts!r},)."
            )
        _at_least("samples", 1, n_prompts=self.n_prompts, prompt_tokens=self.prompt_tokens)
        _at_least("samples", 1, completions=self.completions, max_new_tokens=self.max_new_tokens)
        _at_least("samples", 0, temperature=self.temperature, top_k=self.top_k, seed=self.seed)
        if not 0 < self.top_p <= 1:
            raise PalmettoError(f"samples.top_p is {self.top_p}; it must lie above 0 and be at most 1.")
