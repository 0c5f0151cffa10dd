"""Questions about the corpus: how often do these known spans occur, which of these n-grams occur at all?

The questions go into a hash table and the corpus streams past once, so the cost is linear in the corpus and
the memory bounded by the questions (and one slice of the stream). A hash only proposes: every proposal is
compared token by token, so the answers are exact. Behind the repetition counts of PaLM §7 and the
contamination rule of §8.
"""

from collections.abc import Callable, Collection, Iterable, Iterator

import numpy as np
from jaxtyping import Bool, Int64, Integer, Shaped, UInt64

from palmetto.common.progress import Reporter

_BASE = (
    0x9E3779B97F4A7C15  # odd, hence invertible modulo 2^64: powers of the inverse undo a window's position
)
_INVERSE = pow(_BASE, -1, 1 << 64)
_SLICE_TOKENS = 1 << 17  # a slice's uint64 arrays stay about as large as a core's cache
_VERIFY_TOKENS = 1 << 16  # proposals are gathered and compared at most this many tokens at a time
_SLOTS_PER_SPAN = 32  # about 1 window in 32 passes the first filter without being asked for
_UNKNOWN = -1  # a unit that no question holds; also the wall between two texts


def _mix(tokens: Integer[np.ndarray, "R T"]) -> UInt64[np.ndarray, "R T"]:
    """Spread each token over 64 bits, so that neighbouring ids do not give neighbouring hashes."""
    mixed = tokens.astype(np.int64).view(np.uint64) + np.uint64(0x632BE59BD9B4E019)
    mixed *= np.uint64(0xD6E8FEB86659FD93)
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0xA0761D6478BD642F)
    return mixed


def _powers(base: int, count: int) -> UInt64[np.ndarray, " {count}"]:
    """Return base^0 .. base^(count-1) modulo 2^64."""
    factors = np.full(count, base, np.uint64)
    factors[:1] = 1
    return np.cumprod(factors, dtype=np.uint64)


def _window_hashes(tokens: Integer[np.ndarray, "R T"], width: int) -> UInt64[np.ndarray, "R T-{width}+1"]:
    """Hash every window of `width` tokens of every row: the sum of mixed token i times base^i, modulo 2^64.

    A window is a difference of two running sums, moved to position 0 by the inverse power, so the cost does
    not grow with the width.
    """
    rows, length = tokens.shape
    sums = np.zeros((rows, length + 1), np.uint64)
    np.cumsum(_mix(tokens) * _powers(_BASE, length), axis=1, out=sums[:, 1:])
    hashes = sums[:, width:] - sums[:, :-width]
    hashes *= _powers(_INVERSE, length - width + 1)
    return hashes


class _SpanCounter:
    """Counts how often each of N known spans of W tokens was streamed past."""

    def __init__(self, spans: Integer[np.ndarray, "N W"]) -> None:
        self.width = spans.shape[1]
        # equal questions are looked up once and answered together
        unique, inverse = np.unique(spans.astype(np.int64), axis=0, return_inverse=True)
        self._inverse = inverse.reshape(-1)
        hashes = _window_hashes(unique, self.width)[:, 0]
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._spans = hashes[order], unique[order]
        self._answer = np.empty(len(order), np.int64)
        self._answer[order] = np.arange(len(order))
        self._counts = np.zeros(len(order), np.int64)
        bits = min(26, max(10, (len(order) * _SLOTS_PER_SPAN - 1).bit_length()))
        self._shift = np.uint64(64 - bits)
        self._asked: Bool[np.ndarray, " slots"] = np.zeros(1 << bits, np.bool_)
        self._asked[(self._hashes >> self._shift).astype(np.int64)] = True

    def counts(self) -> Int64[np.ndarray, " N"]:
        """Return the counts so far, in the order of the questions."""
        return self._counts[self._answer][self._inverse]

    def feed(self, records: Integer[np.ndarray, "R T"]) -> None:
        """Count the spans inside each of these rows."""
        for piece in _slices(records, self.width):
            hashes = _window_hashes(piece, self.width)
            rows, columns = np.nonzero(self._asked[(hashes >> self._shift).view(np.int64)])
            if len(rows):
                self._verify(piece, rows, columns, hashes[rows, columns])

    def _verify(
        self,
        piece: Shaped[np.ndarray, "R T"],
        rows: Int64[np.ndarray, " hits"],
        columns: Int64[np.ndarray, " hits"],
        hashes: UInt64[np.ndarray, " hits"],
    ) -> None:
        candidate = np.searchsorted(self._hashes, hashes, side="left")
        end = np.searchsorted(self._hashes, hashes, side="right")
        windows = np.lib.stride_tricks.sliding_window_view(piece, self.width, axis=1)
        step = max(1, _VERIFY_TOKENS // self.width)
        while len(open_hits := np.flatnonzero(candidate < end)):
            # different spans may share a hash: each round compares every open hit with its next candidate
            for start in range(0, len(open_hits), step):
                hits = open_hits[start : start + step]
                equal = (windows[rows[hits], columns[hits]] == self._spans[candidate[hits]]).all(axis=1)
                self._counts += np.bincount(candidate[hits[equal]], minlength=len(self._counts))
                candidate[hits] = np.where(equal, end[hits], candidate[hits] + 1)


def _slices(records: Integer[np.ndarray, "R T"], width: int) -> Iterator[Integer[np.ndarray, "r t"]]:
    """Cut records into pieces of bounded size that together hold every window exactly once."""
    rows, length = records.shape
    if length < width:
        return
    step = max(_SLICE_TOKENS, 4 * width)
    height = max(1, _SLICE_TOKENS // length)
    for top in range(0, rows, height):
        for left in range(0, length - width + 1, step):
            yield np.asarray(records[top : top + height, left : left + step + width - 1])


def count_spans(
    spans: Integer[np.ndarray, "N W"],
    record_blocks: Iterable[Integer[np.ndarray, "_ T"]],
    reporter: Reporter,
    *,
    total: int | None = None,
) -> Int64[np.ndarray, " N"]:
    """Count the occurrences of each span within the records: exact, overlapping ones included.

    A span never crosses from one record into the next. Equal spans get the same count.

    Args:
        spans: N spans of W >= 1 token ids.
        record_blocks: the records in blocks of any number of rows; memory-mapped ones are read in slices.
        reporter: shows the progress, in records.
        total: number of records in all blocks, for the progress display.

    Raises:
        ValueError: the spans have no tokens.
    """
    if spans.shape[1] < 1:
        raise ValueError("spans must hold at least one token each")
    if not len(spans):
        return np.zeros(0, np.int64)
    counter = _SpanCounter(spans)
    with reporter.bar("Counting spans", total, "records") as bar:
        for block in record_blocks:
            counter.feed(block)
            bar.advance(len(block))
    return counter.counts()


def seen_ngrams(
    questions: Collection[tuple[str, ...]],
    texts: Iterable[str],
    split: Callable[[str], list[str]],
    reporter: Reporter,
    *,
    n: int = 8,
    total: int | None = None,
) -> set[tuple[str, ...]]:
    """Return the questions that occur in at least one of the texts: exact, from one pass over the texts.

    An n-gram never crosses from one text into the next.

    Args:
        questions: n-grams of units, as `split` makes them.
        texts: the corpus, one document each.
        split: turns a text into its units.
        reporter: shows the progress, in documents.
        n: units in an n-gram.
        total: number of texts, for the progress display.

    Raises:
        ValueError: a question does not have `n` units, or `n` is below 1.
    """
    if n < 1 or any(len(question) != n for question in questions):
        raise ValueError(f"every question must have exactly n = {n} >= 1 units")
    asked = sorted(set(questions))
    if not asked:
        return set()
    identities = {unit: number for number, unit in enumerate(dict.fromkeys(u for q in asked for u in q))}
    counter = _SpanCounter(
        np.array([[identities[unit] for unit in question] for question in asked], np.int64)
    )
    waiting: list[int] = []  # short texts are looked up together, with a wall after each

    def look_up() -> None:
        counter.feed(np.array([waiting], np.int64))
        waiting.clear()

    with reporter.bar("Looking up n-grams", total, "documents") as bar:
        for text in texts:
            waiting.extend(identities.get(unit, _UNKNOWN) for unit in split(text))
            waiting.append(_UNKNOWN)
            if len(waiting) >= _SLICE_TOKENS:
                look_up()
            bar.advance(1)
        if waiting:
            look_up()
    counts = counter.counts()
    return {question for question, count in zip(asked, counts, strict=True) if count}
