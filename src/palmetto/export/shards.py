"""Safetensors files whose layout is fixed before a weight is read, so that tensors may come in any order and in parts.

A file is the length of its header (8 bytes, little-endian), the header (JSON: type, shape and place of each tensor),
then the tensors' bytes; https://github.com/huggingface/safetensors describes it.
"""

import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import ml_dtypes
import numpy as np

from palmetto.common.files import write_json
from palmetto.export.cohere import Tensor

ExportDtype = Literal["float32", "bfloat16"]

_NUMPY: dict[ExportDtype, np.dtype] = {
    "float32": np.dtype("<f4"),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}
_SAFETENSORS: dict[ExportDtype, str] = {"float32": "F32", "bfloat16": "BF16"}
INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class _Place:
    """Where a tensor lies."""

    path: Path
    offset: int
    tensor: Tensor


class Shards:
    """The weight files of an exported model, open for writing in any order.

    Attributes:
        total_bytes: bytes of all tensors.
        files: the files' names.
    """

    def __init__(self, folder: Path, tensors: Iterable[Tensor], dtype: ExportDtype, max_bytes: int) -> None:
        """Lay the tensors out in `model-0000i-of-0000n.safetensors`; nothing is written yet.

        Args:
            folder: an existing folder.
            tensors: all tensors, in the order they are to have in the files.
            dtype: type of the stored numbers.
            max_bytes: a file is closed before it would hold more; a larger tensor has a file of its own.
        """
        self._dtype, self._itemsize = dtype, _NUMPY[dtype].itemsize
        groups: list[list[Tensor]] = [[]]
        held = 0
        for tensor in tensors:
            size = self._bytes(tensor)
            if groups[-1] and held + size > max_bytes:
                groups.append([])
                held = 0
            groups[-1].append(tensor)
            held += size
        self._headers: dict[Path, bytes] = {}
        self._places: dict[str, _Place] = {}
        for number, group in enumerate(groups, start=1):
            path = folder / f"model-{number:05d}-of-{len(groups):05d}.safetensors"
            self._lay_out(path, group)
        self._folder = folder
        self.files = [path.name for path in self._headers]
        self.total_bytes = sum(self._bytes(place.tensor) for place in self._places.values())
        self._missing = {name: self._bytes(place.tensor) for name, place in self._places.items()}

    def _bytes(self, tensor: Tensor) -> int:
        return math.prod(tensor.shape) * self._itemsize

    def _lay_out(self, path: Path, tensors: list[Tensor]) -> None:
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        end = 0
        for tensor in tensors:
            start, end = end, end + self._bytes(tensor)
            header[tensor.name] = {
                "dtype": _SAFETENSORS[self._dtype],
                "shape": list(tensor.shape),
                "data_offsets": [start, end],
            }
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # the tensors begin on a multiple of eight
        self._headers[path] = len(text).to_bytes(8, "little") + text
        for tensor in tensors:
            offset = len(self._headers[path]) + header[tensor.name]["data_offsets"][0]
            self._places[tensor.name] = _Place(path, offset, tensor)

    def begin(self) -> None:
        """Write the headers and the index, and give every file its full length."""
        for path, header in self._headers.items():
            last = max(
                place.offset + self._bytes(place.tensor)
                for place in self._places.values()
                if place.path == path
            )
            with path.open("wb") as stream:
                stream.write(header)
                stream.truncate(last)
        index = {
            "metadata": {"total_size": self.total_bytes},
            "weight_map": {name: place.path.name for name, place in sorted(self._places.items())},
        }
        write_json(self._folder / INDEX, index)

    def write(self, name: str, values: np.ndarray, first_row: int = 0) -> None:
        """Write a tensor, or its rows from `first_row` on; numbers are rounded to the files' type."""
        place = self._places[name]
        row = math.prod(place.tensor.shape[1:]) * self._itemsize
        data = np.ascontiguousarray(values, dtype=_NUMPY[self._dtype])
        with place.path.open("r+b") as stream:
            stream.seek(place.offset + first_row * row)
            stream.write(data.reshape(-1).view(np.uint8).data)
        self._missing[name] -= data.nbytes

    def finish(self) -> None:
        """Flush all files to the disk.

        Raises:
            RuntimeError: a tensor was not written whole, which is a fault of the caller.
        """
        if missing := [name for name, left in self._missing.items() if left]:
            raise RuntimeError(f"tensors not written whole: {', '.join(missing)}")
        for path in self._headers:
            with path.open("rb+") as stream:
                os.fsync(stream.fileno())
