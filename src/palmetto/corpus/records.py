"""Packed token records, memory-mapped: what training batches are read from."""

from operator import index
from pathlib import Path
from typing import Any, Literal, SupportsIndex

import numpy as np
from jaxtyping import Int32, UInt

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, sha256_file

FORMAT = 1


def token_dtype(vocab_size: int) -> np.dtype:
    """Return the integers, little-endian, that the ids of a vocabulary are stored in: two bytes where they suffice."""
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


class PackedRecords:
    """The records of one split of a `corpus/` folder: a grain `RandomAccessDataSource`.

    Reading a record touches only its own bytes. Pickling keeps the path, not the tokens.
    """

    def __init__(self, folder: Path, split: Literal["train", "heldout"]) -> None:
        """Open `<folder>/<split>.tokens`.

        Raises:
            PalmettoError: the manifest or the file is missing, of another format, or the file is cut short.
        """
        self._folder, self._split = folder, split
        manifest = read_json(folder / "manifest.json")
        if manifest.get("format") != FORMAT:
            raise PalmettoError(
                f"{folder / 'manifest.json'} has format {manifest.get('format')} and this version of "
                f"Palmetto reads format {FORMAT}; pack the corpus again."
            )
        self.manifest: dict[str, Any] = manifest
        self.sequence_length: int = manifest["sequence_length"]
        self._record_length: int = manifest["record_length"]
        self._records: int = manifest[f"{split}_records"]
        self._path = folder / f"{split}.tokens"
        dtype = np.dtype(manifest["dtype"]).newbyteorder("<")
        expected = manifest[f"{split}_tokens"] * dtype.itemsize
        found = self._path.stat().st_size if self._path.is_file() else 0
        if found != expected:
            raise PalmettoError(
                f"{self._path} holds {found} bytes where its manifest says {expected}; it is damaged, "
                "pack the corpus again."
            )
        self._tokens = np.memmap(self._path, dtype, "r")

    def __len__(self) -> int:
        return self._records

    def __getitem__(self, record: SupportsIndex) -> Int32[np.ndarray, " T"]:
        """Return record number `record` (from 0): T = sequence_length + 1 token ids as int32.

        Raises:
            IndexError: there is no such record. Nothing wraps round.
        """
        number = index(record)
        if not 0 <= number < self._records:
            raise IndexError(f"record {number} of {self._records} in {self._path}")
        return self.array[number].astype(np.int32)

    @property
    def array(self) -> UInt[np.ndarray, "N T"]:
        """All records, a read-only memory map [records, sequence_length + 1] of unsigned integers."""
        return self._tokens[: self._records * self._record_length].reshape(self._records, self._record_length)

    @property
    def tokens(self) -> UInt[np.ndarray, " N"]:
        """The flat concatenation, read-only, which `<split>.documents.jsonl.gz` points into.

        Of the held-out split it goes on after the last whole record, to the end of the last document.
        """
        return self._tokens

    def verify(self) -> None:
        """Compare the token file's hash with the manifest's; this reads the whole file.

        Raises:
            PalmettoError: they differ.
        """
        if sha256_file(self._path) != self.manifest["sha256"][self._path.name]:
            raise PalmettoError(
                f"{self._path} was changed or is damaged (its hash differs); pack the corpus again."
            )

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self._folder, "split": self._split}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"], state["split"])  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"PackedRecords({str(self._folder)!r}, {self._split!r})"
