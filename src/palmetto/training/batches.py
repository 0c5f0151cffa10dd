"""Batch i is a pure function of i (paper, section 5: bitwise determinism).

Grain gives a random-access permutation of the records; batch i takes the slots from `offset(i)` on, where `offset`
sums the scheduled batch sizes before i. Nothing but the index decides the content: not the host count, not a
restart, not what was read before. Of the optimizer step k the batch index is k plus the batches skipped before it.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import grain
import numpy as np
from jaxtyping import Int

from palmetto.common.errors import PalmettoError
from palmetto.training.schedules import BatchSize


@runtime_checkable
class RecordArray(Protocol):
    """Packed records of equal length."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> np.ndarray: ...


class Batches:
    """Random access to the batches of a run."""

    def __init__(
        self,
        records: RecordArray,
        batch_size: BatchSize,
        *,
        seed: int,
        epochs: int = 1,
        skipped: Sequence[tuple[int, int]] = (),
    ) -> None:
        """Order the records, shuffled anew each epoch; `skipped` holds half-open ranges of batch indices."""
        self._records, self._batch_size, self._epochs = records, batch_size, epochs
        self._skipped = _merged(skipped)
        self._order = grain.MapDataset.range(len(records)).seed(seed).shuffle().repeat(epochs)

    def index(self, step: int) -> int:
        """Return the batch index that optimizer step `step` (from 0) consumes."""
        index = step
        for first, end in self._skipped:
            if index >= first:
                index += end - first
        return index

    def record_ids(self, index: int) -> Int[np.ndarray, "B"]:
        """Return which records batch `index` holds, in order.

        Raises:
            PalmettoError: the batch lies beyond the epochs the recipe allows.
        """
        first, count = self._batch_size.offset(index), self._batch_size.size(index)
        if first + count > len(self._order):
            raise PalmettoError(
                f"Batch {index} needs {first + count:,} records, but {self._epochs} epoch(s) of the corpus hold "
                f"{len(self._order):,}; give more text, fewer steps, or a recipe with more `epochs`."
            )
        return np.array([self._order[slot] for slot in range(first, first + count)], np.int64)

    def __getitem__(self, index: int) -> Int[np.ndarray, "B T"]:
        """Return the tokens of batch `index`."""
        return np.stack([np.asarray(self._records[int(record)]) for record in self.record_ids(index)]).astype(
            np.int32
        )

    def consumed(self, steps: int) -> Int[np.ndarray, "N"]:
        """Return the ids of all records that the first `steps` updates read, in reading order."""
        read = [self.record_ids(self.index(step)) for step in range(steps)]
        return np.concatenate(read) if read else np.zeros(0, np.int64)


def _merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the union of half-open ranges as disjoint ones, ascending: a rewind may skip what was skipped before."""
    merged: list[tuple[int, int]] = []
    for first, end in sorted(ranges):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((first, end))
    return merged
