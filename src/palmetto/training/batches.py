"""Batch i is a pure function of i (paper, section 5: bitwise determinism).

Grain gives a random-access permutation of each source's records, `Mixture` says which source each place of the run
takes; batch i takes the places from `offset(i)` on, where `offset` sums the scheduled batch sizes before i. Nothing
but the index decides the content: not how many processes read, not a restart, not what was read before or how far
ahead. Of the optimizer step k the batch index is k plus the batches skipped before it.
"""

from collections.abc import Callable, Generator, Sequence
from hashlib import sha256
from typing import Any, Protocol, runtime_checkable

import grain
import numpy as np
from jaxtyping import Int

from palmetto.common.errors import PalmettoError
from palmetto.training.mixture import Mixture
from palmetto.training.schedules import BatchSize

# Grain's shuffle counts in 32 bits.
_MOST_RECORDS = 2**31
_READING_THREADS = 2


@runtime_checkable
class RecordArray(Protocol):
    """Records of one shape: token ids [T], or for finetuning [2, T], with a plane that marks targets."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> np.ndarray: ...


class Batches:
    """Random access to the batches of a run. Threads may read at the same time."""

    def __init__(
        self,
        sources: Sequence[RecordArray],
        batch_size: BatchSize,
        *,
        seed: int,
        weights: Sequence[int] = (1,),
        epochs: int = 1,
        skipped: Sequence[tuple[int, int]] = (),
        vocab_size: int | None = None,
    ) -> None:
        """Order the records: each source shuffled, anew each epoch, then mixed.

        Args:
            sources: where records come from; their records have equal lengths.
            batch_size: sequences a batch.
            seed: of the order, 0 .. 2^32 - 1. A source's order depends on it and on the source's number.
            weights: records of each source in every aligned block of sum(weights) records.
            epochs: how often each source may be read. A mixture ends where its first source does.
            skipped: half-open ranges of batch indices that no update reads; they may overlap.
            vocab_size: when given, token ids from it on are an error as they are read.

        Raises:
            PalmettoError: no source, an empty one, records of different lengths, or an argument out of range.
        """
        if len(weights) != len(sources):
            raise PalmettoError(
                f"There are {len(sources)} sources and {len(weights)} weights; give one each."
            )
        if epochs < 1 or not 0 <= seed < 2**32:
            raise PalmettoError(
                f"epochs is {epochs} and seed {seed}; they must be at least 1, and 0 .. 2^32 - 1."
            )
        for number, source in enumerate(sources):
            if not 0 < len(source) <= _MOST_RECORDS:
                raise PalmettoError(
                    f"Source {number}, {source!r}, holds {len(source):,} records; it must hold 1 .. {_MOST_RECORDS:,}."
                )
            if number and source[0].shape != sources[0][0].shape:
                raise PalmettoError(
                    f"Source {number}, {source!r}, has records of shape {source[0].shape} and source 0 of "
                    f"{sources[0][0].shape}; pack both with one sequence_length."
                )
        if any(not 0 <= first <= end for first, end in skipped):
            raise PalmettoError(
                f"skipped is {list(skipped)}; ranges must be (first, end) with 0 <= first <= end."
            )
        self._sources, self._batch_size, self._epochs = tuple(sources), batch_size, epochs
        self._skipped, self._vocab_size = _merged(skipped), vocab_size
        self._mixture = Mixture(weights)
        self._orders = [
            grain.MapDataset.range(len(source)).seed(_source_seed(seed, number)).shuffle().repeat(epochs)
            for number, source in enumerate(sources)
        ]
        self._places, self._first_to_end = self._mixture.end([len(order) for order in self._orders])

    def __len__(self) -> int:
        """Return the records of the whole run: where the first source ends."""
        return self._places

    def index(self, step: int) -> int:
        """Return the batch index that optimizer step `step` (from 0) consumes.

        Raises:
            PalmettoError: the step is negative.
        """
        if step < 0:
            raise PalmettoError(f"There is no optimizer step {step}; the first is 0.")
        index = step
        for first, end in self._skipped:
            if index >= first:
                index += end - first
        return index

    def record_ids(self, index: int) -> Int[np.ndarray, "B 2"]:
        """Return which records batch `index` holds, in order: the number of the source, and the record in it.

        Raises:
            PalmettoError: the batch lies beyond the epochs the recipe allows (the source that ended is named), or its
                index is negative.
        """
        return self._ids(index, 0, self.size(index))

    def __getitem__(self, index: int) -> Int[np.ndarray, "B *T"]:
        """Return the records of batch `index`.

        Raises:
            PalmettoError: as `rows`.
        """
        return self.rows(index, 0, self.size(index))

    def rows(self, index: int, first: int, end: int) -> Int[np.ndarray, "b *T"]:
        """Return the records of slots [first, end) of batch `index`: what one process needs. No other record is read.

        Raises:
            PalmettoError: as `record_ids`, slots that the batch does not have, or a token outside the vocabulary.
        """
        if not 0 <= first < end <= self.size(index):
            raise PalmettoError(
                f"Batch {index} has slots 0 .. {self.size(index) - 1}, not {first} .. {end - 1}."
            )
        ids = self._ids(index, first, end)
        rows = np.stack([np.asarray(self._sources[source][record]) for source, record in ids.tolist()])
        if self._vocab_size is not None and (rows.min() < 0 or rows.max() >= self._vocab_size):
            bad = int(np.argwhere((rows < 0) | (rows >= self._vocab_size))[0, 0])
            source, record = ids[bad].tolist()
            raise PalmettoError(
                f"Batch {index}: record {record} of source {source}, {self._sources[source]!r}, holds token ids "
                f"{rows[bad].min()} .. {rows[bad].max()}, but the model's vocabulary has {self._vocab_size:,}; use the "
                "corpus and the tokenizer that belong together."
            )
        return rows.astype(np.int32)

    def consumed(self, steps: int) -> Int[np.ndarray, "N 2"]:
        """Return the (source, record) of all records that the first `steps` updates read, in reading order."""
        read = [self.record_ids(self.index(step)) for step in range(steps)]
        return np.concatenate(read) if read else np.zeros((0, 2), np.int64)

    def size(self, index: int) -> int:
        """Return the sequences of batch `index`.

        Raises:
            PalmettoError: the index is negative.
        """
        if index < 0:
            raise PalmettoError(f"There is no batch {index}; the first is 0.")
        return self._batch_size.size(index)

    def _ids(self, index: int, first: int, end: int) -> Int[np.ndarray, "b 2"]:
        start = self._batch_size.offset(index)
        needed = start + self.size(index)
        if needed > self._places:
            corpus = "the corpus"
            if len(self._sources) > 1:
                number = self._first_to_end
                corpus = f"the mixture, whose source {number}, {self._sources[number]!r}, ends first,"
            raise PalmettoError(
                f"Batch {index} needs {needed:,} records, but {self._epochs} epoch(s) of {corpus} hold "
                f"{self._places:,}; give more text, fewer steps, or a recipe with more `epochs`."
            )
        ids = self._mixture[np.arange(start + first, start + end)]
        ids[:, 1] = [self._orders[source][place] for source, place in ids.tolist()]
        return ids


def read_ahead(
    batches: Batches, first_step: int, steps: int, depth: int, read: Callable[[int], Any] | None = None
) -> Generator[tuple[int, int, Any]]:
    """Yield (step, batch index, what was read of the batch) of the optimizer steps [first_step, steps), in order.

    Grain's threads read up to `depth` batches ahead; what is yielded does not depend on it. Closing the iterator early
    waits for nothing: a read under way is left to end by itself.

    Args:
        batches: the run's batches.
        first_step: updates already made.
        steps: updates of the whole run; the last one yielded is steps - 1.
        depth: batches read ahead; 0 reads each as it is asked for, without threads.
        read: reads the batch of an index; left out, its records [B, T] whole.

    Raises:
        PalmettoError: as `Batches.rows`, at the step it concerns; `depth` is negative.
    """
    if depth < 0:
        raise PalmettoError(f"The depth of reading ahead is {depth}; it must be at least 0.")
    if first_step >= steps:
        return
    options = grain.ReadOptions(num_threads=min(depth, _READING_THREADS), prefetch_buffer_size=depth)
    steps_read = grain.MapDataset.range(first_step, steps).map(_Read(batches, read or batches.__getitem__))
    iterator = iter(steps_read.to_iter_dataset(options))
    try:
        yield from iterator
    finally:
        iterator.close()


class _Read:
    """From a step to what is read for it."""

    def __init__(self, batches: Batches, read: Callable[[int], Any]) -> None:
        self._batches, self._read = batches, read

    def __call__(self, step: int) -> tuple[int, int, Any]:
        index = self._batches.index(step)
        return step, index, self._read(index)


def _source_seed(seed: int, number: int) -> int:
    """Return a source's seed: the run's own for the first, so that a corpus read alone keeps its order.

    The others' are hashed, because Grain adds the epoch to the seed: seeds that are neighbours would give one source's
    second epoch the order of the next one's first.
    """
    if number == 0:
        return seed
    return int.from_bytes(sha256(f"{seed}:{number}".encode()).digest()[:4])


def _merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the union of half-open ranges as disjoint ones, ascending: a rewind may skip what was skipped before."""
    merged: list[tuple[int, int]] = []
    for first, end in sorted(ranges):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((first, end))
    return merged
