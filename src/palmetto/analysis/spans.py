"""Which spans of text a memorisation study asks for: drawn once, the same for every size (PaLM §7).

The headline rate comes from uniformly random spans. High repetition counts are rare among those, so many
more spans are drawn, counted exactly over all records consumed, and each range of counts gets its own sample.
A span that occurs often is drawn often: a range's sample stands for random training text of that range.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Integer

from palmetto.analysis.config import MemorisationConfig
from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Reporter
from palmetto.corpus.questions import count_spans

BINS: tuple[tuple[str, int, int | None], ...] = (
    ("1", 1, 1),
    ("2", 2, 2),
    ("3-5", 3, 5),
    ("6-10", 6, 10),
    ("11-50", 11, 50),
    (">50", 51, None),
)
"""Ranges of repetition counts: name, lowest and highest count (None: no bound)."""

_BLOCK_RECORDS = 4096


@dataclass(frozen=True, eq=False)
class SpanSet:
    """Spans of W tokens and how often each occurs in the records consumed."""

    tokens: Int64[np.ndarray, "N W"]
    """The spans, in the order drawn."""

    repetitions: Int64[np.ndarray, " N"]
    """Occurrences of each in the records consumed; 0 for most held-out spans."""

    def take(self, chosen: Integer[np.ndarray, " K"]) -> "SpanSet":
        """Return the spans at these places."""
        return SpanSet(self.tokens[chosen], self.repetitions[chosen])


@dataclass(frozen=True, eq=False)
class Spans:
    """The spans of one study."""

    train: SpanSet
    """Uniformly random spans of the records consumed."""

    heldout: SpanSet
    """Uniformly random spans of the held-out records."""

    by_repetition: tuple[SpanSet, ...]
    """For each of `BINS`, distinct spans of the records consumed; empty where none was found."""


def choose_spans(
    records: Integer[np.ndarray, "N T"],
    heldout: Integer[np.ndarray, "M T"],
    config: MemorisationConfig,
    reporter: Reporter,
) -> Spans:
    """Draw the spans and count their repetitions in the records, in one pass over them.

    Args:
        records: the records of all batches consumed in training, each as often as it was consumed.
        heldout: the held-out records.
        config: how many spans, how long.
        reporter: shows the progress, in records.

    Raises:
        PalmettoError: there are no records, or they are shorter than a span.
    """
    width = config.prompt_tokens + config.generated_tokens
    if not len(records) or records.shape[1] < width:
        raise PalmettoError(
            f"memorisation needs consumed records of at least {width} tokens and found {len(records)} of "
            f"{records.shape[1]}; train longer, or lower memorisation.prompt_tokens and generated_tokens."
        )
    candidates = _draw(records, width, max(config.n_spans, config.n_candidates), (config.seed, 0))
    unseen = _draw(heldout, width, config.n_heldout, (config.seed, 1))
    counts = count_spans(np.concatenate([candidates, unseen]), _blocks(records), reporter, total=len(records))
    drawn = SpanSet(candidates, counts[: len(candidates)])
    first = np.sort(np.unique(candidates, axis=0, return_index=True)[1])
    distinct = drawn.take(first)
    bins = []
    for _, low, high in BINS:
        inside = (distinct.repetitions >= low) & (distinct.repetitions <= (high or np.iinfo(np.int64).max))
        bins.append(distinct.take(np.flatnonzero(inside)[: config.spans_per_bin]))
    return Spans(
        train=drawn.take(np.arange(min(config.n_spans, len(candidates)))),
        heldout=SpanSet(unseen, counts[len(candidates) :]),
        by_repetition=tuple(bins),
    )


def _draw(
    records: Integer[np.ndarray, "N T"], width: int, count: int, seed: tuple[int, int]
) -> Int64[np.ndarray, "n {width}"]:
    """Draw `count` different places uniformly (all of them where there are fewer) and return their spans."""
    starts = max(0, records.shape[1] - width + 1)
    places = len(records) * starts
    chosen = np.random.default_rng(seed).choice(places, min(count, places), replace=False) if places else []
    spans = np.empty((len(chosen), width), np.int64)
    for number, place in enumerate(chosen):
        row, column = divmod(int(place), starts)
        spans[number] = records[row, column : column + width]
    return spans


def _blocks(records: Integer[np.ndarray, "N T"]) -> Iterator[Integer[np.ndarray, "n T"]]:
    for start in range(0, len(records), _BLOCK_RECORDS):
        yield records[start : start + _BLOCK_RECORDS]
