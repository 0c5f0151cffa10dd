"""Which source gives the record at a place of a mixture: exact counts, known for any place without reading on.

A mixture is made of blocks of sum(weights) places (after dividing the weights by their greatest common divisor), and
each block holds each source exactly as often as its weight says. Within a block the sources are spread evenly. Grain's
own `MapDataset.mix` takes proportions that it rounds to about 1 %, so weights such as (3, 7) would come out as
100 : 233; hence this file.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from palmetto.common.errors import PalmettoError

_LARGEST_BLOCK = 1_000_000


class Mixture:
    """An endless sequence of places, each of one source: pure arithmetic on place numbers."""

    def __init__(self, weights: Sequence[int]) -> None:
        """Mix sources by integer weights: places each source takes in a block.

        Raises:
            PalmettoError: there is no weight, one is below 1, or they need a block too long to hold.
        """
        if not weights or any(weight != int(weight) or weight < 1 for weight in weights):
            raise PalmettoError(
                f"weights are {tuple(weights)}; give each source a whole number of at least 1, and leave out a "
                "source that is not to be read."
            )
        divisor = math.gcd(*map(int, weights))
        self._weights = np.array([int(weight) // divisor for weight in weights], np.int64)
        self.block = int(self._weights.sum())
        if self.block > _LARGEST_BLOCK:
            raise PalmettoError(
                f"weights {tuple(weights)} are exact only over {self.block:,} records, above the {_LARGEST_BLOCK:,} "
                "allowed; round them to smaller numbers."
            )
        # Occurrence j of a source with weight w belongs at (j + 1/2) / w of the block; in whole numbers, so that no
        # rounding decides a tie: those go to the earlier source.
        whole = math.lcm(*self._weights.tolist())
        due = [
            ((2 * occurrence + 1) * (whole // weight), source, occurrence)
            for source, weight in enumerate(self._weights.tolist())
            for occurrence in range(weight)
        ]
        due.sort()
        self._source = np.array([source for _, source, _ in due], np.int64)
        self._occurrence = np.array([occurrence for _, _, occurrence in due], np.int64)

    def __getitem__(self, places: Int[np.ndarray, "N"]) -> Int[np.ndarray, "N 2"]:
        """Return the source of each place, and how many places before it that source had."""
        block, place = np.divmod(places, self.block)
        source = self._source[place]
        return np.stack([source, block * self._weights[source] + self._occurrence[place]], axis=1)

    def end(self, lengths: Sequence[int]) -> tuple[int, int]:
        """Return the first place whose source has nothing left, and that source.

        Args:
            lengths: records each source holds, in all its epochs.
        """
        ends = []
        for source, length in enumerate(lengths):
            blocks, rest = divmod(length, int(self._weights[source]))
            place = np.flatnonzero(self._source == source)[rest]
            ends.append((blocks * self.block + int(place), source))
        return min(ends)
