"""The weights of a checkpoint, read from disk a slice at a time: nothing is restored onto a device.

Orbax stores each weight as a zarr array, cut into chunks, inside an OCDBT key-value store; tensorstore, which Orbax
itself reads through, opens such an array without loading it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore

from palmetto.common.errors import PalmettoError
from palmetto.common.files import hash_json, read_json
from palmetto.training.checkpoints import newest_step, verify

# Rows of a matrix that has no layer axis are read in blocks of about this many bytes.
_BLOCK_BYTES = 64 << 20


@dataclass(frozen=True)
class Slice:
    """A part of a stored weight: rows [start, stop) of its first axis."""

    start: int
    """First row; for weights of the blocks the layer."""

    stop: int
    """Row after the last."""

    values: np.ndarray
    """The rows [stop - start, ...], in the type they are stored in."""


class StoredWeights:
    """The weights of one verified checkpoint, still on disk.

    Attributes:
        step: the checkpoint's step.
        manifest_sha256: hash of the checkpoint's verified manifest.
    """

    def __init__(self, checkpoints: Path) -> None:
        """Verify the newest committed checkpoint of a folder.

        Raises:
            PalmettoError: there is none, it is damaged, or Orbax stored it in a form unknown here.
        """
        self.step = newest_step(checkpoints)
        self.manifest_sha256 = hash_json(verify(checkpoints, self.step))
        self._folder = (checkpoints / f"{self.step:08d}" / "state" / "parameters").resolve()
        metadata: dict[str, Any] = read_json(self._folder / "_METADATA")
        if not metadata["use_ocdbt"]:
            raise PalmettoError(
                f"{self._folder} is not an OCDBT store, the form Palmetto writes; save the checkpoint again."
            )
        self._driver = "zarr3" if metadata["use_zarr3"] else "zarr"

    def slices(self, name: str, shape: tuple[int, ...]) -> Iterator[Slice]:
        """Yield a weight's rows in order: a layer at a time, or blocks of rows of a matrix without layers.

        A chunk that spans several rows is decoded once and kept until its rows are read; `held_bytes` says how
        much memory that is.

        Args:
            name: dotted name, such as `blocks.w_q`.
            shape: what the weight must have.

        Raises:
            PalmettoError: the weight is missing or has another shape.
        """
        array = self._open(name, shape, self.held_bytes(name, shape))
        rows = 1
        if len(shape) == 2 and not name.startswith("blocks."):
            rows = max(1, _BLOCK_BYTES // (shape[1] * array.dtype.numpy_dtype.itemsize))
        for start in range(0, shape[0], rows):
            stop = min(start + rows, shape[0])
            yield Slice(start, stop, array[start:stop].read().result())

    def held_bytes(self, name: str, shape: tuple[int, ...]) -> int:
        """Return the bytes of the decoded chunks that one row needs and other rows need again; 0 if none do.

        Raises:
            PalmettoError: as `slices`.
        """
        array = self._open(name, shape, 0)
        rows = min(array.chunk_layout.read_chunk.shape[0], shape[0])
        # One byte more would evict a chunk, and every row would decode it again.
        return 0 if rows == 1 else 2 * 4096 + rows * math.prod(shape[1:]) * array.dtype.numpy_dtype.itemsize

    def _open(self, name: str, shape: tuple[int, ...], cache_bytes: int) -> Any:
        spec = {
            "driver": self._driver,
            "kvstore": {"driver": "ocdbt", "base": f"file://{self._folder}", "path": f"{name}/"},
            # A pool of its own: the decoded chunks of one weight go when its array goes.
            "context": {"cache_pool": {"total_bytes_limit": cache_bytes}},
            "recheck_cached_data": "open",
            "recheck_cached_metadata": "open",
        }
        try:
            array = tensorstore.open(spec, open=True, read=True).result()
        except ValueError as error:
            raise PalmettoError(
                f"{self._folder} holds no readable weight {name} ({str(error).splitlines()[0]}); it was written "
                "by another version of Palmetto, use that one to export it."
            ) from None
        if tuple(array.shape) != shape:
            raise PalmettoError(
                f"{self._folder}: {name} has shape {tuple(array.shape)}, but config.json describes {shape}; the "
                "folder's files do not belong together."
            )
        return array
