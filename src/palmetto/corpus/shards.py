"""Files of token ids that other programs wrote, opened as memory maps.

They are `.npy` arrays of integers, and flat `.bin` integers without a header (nanoGPT's form).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int64, Integer

from palmetto.common.errors import PalmettoError
from palmetto.common.files import sha256_file
from palmetto.corpus.records import token_dtype

_KINDS = (".npy", ".bin")
# Enough integers to tell 16-bit from 32-bit ones.
_SAMPLE = 4_096


@dataclass(frozen=True)
class Shard:
    """One file of token ids."""

    path: Path
    kind: Literal["npy", "bin"]
    sha256: str
    array: Integer[np.ndarray, "*shape"]
    """The memory map: one-dimensional, or rows."""

    def __len__(self) -> int:
        return int(self.array.size)

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return self.array.shape

    @property
    def width(self) -> int | None:
        """Tokens of a row; None when the shard is flat."""
        return self.shape[1] if len(self.shape) == 2 else None

    def read(self, start: int, end: int) -> Int64[np.ndarray, " T"]:
        """Return the ids [start, end) in the order of rows."""
        if self.width is None:
            return self.array[start:end].astype(np.int64)
        # Whole rows first: flattening the array itself would copy one that is stored by columns.
        first = start // self.width
        rows = self.array[first : -(-end // self.width)].reshape(-1)
        return rows[start - first * self.width : end - first * self.width].astype(np.int64)

    def facts(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        return {
            "path": str(self.path),
            "bytes": self.path.stat().st_size,
            "sha256": self.sha256,
            "dtype": self.array.dtype.name,
            "shape": list(self.shape),
        }


def open_shards(
    names: Sequence[str],
    bin_dtype: Literal["auto", "uint16", "uint32"],
    vocab_size: int,
    say: Callable[[str], None],
) -> list[Shard]:
    """Open files, and those of folders in the order of their names.

    Args:
        names: files and folders.
        bin_dtype: integers of `.bin` files; `auto` takes uint16 where `vocab_size` fits.
        vocab_size: of the tokenizer.
        say: prints a line; told what `auto` took.

    Raises:
        PalmettoError: a file is missing, unreadable, empty, given twice, not of a kind that is known, or looks like
            integers of another width.
    """
    guessed = bin_dtype == "auto"
    integers = token_dtype(vocab_size).name if guessed else bin_dtype
    shards: list[Shard] = []
    seen: dict[str, Path] = {}
    for path in _listed(names):
        try:
            shard = _open(path, integers)
        except OSError as error:
            raise PalmettoError(f"{path} cannot be read ({error.strerror or error}).") from None
        if len(shard) == 0:
            raise PalmettoError(f"{path} holds no tokens; leave it out.")
        if guessed and integers == "uint16" and shard.kind == "bin" and _looks_like_32_bits(shard):
            raise PalmettoError(
                f"{path}, read as 16-bit integers, has 0 in every second place: it looks like 32-bit ones. Say which "
                "they are (bin_dtype: uint16 or uint32)."
            )
        if shard.sha256 in seen:
            raise PalmettoError(f"{path} holds the same bytes as {seen[shard.sha256]}; give each shard once.")
        seen[shard.sha256] = path
        shards.append(shard)
    if guessed and any(shard.kind == "bin" for shard in shards):
        say(f"The .bin files do not say their integers; read as {integers}, which holds {vocab_size:,} ids.")
    return shards


def _listed(names: Sequence[str]) -> list[Path]:
    paths: list[Path] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            try:
                inside = sorted(
                    child for child in path.iterdir() if child.suffix in _KINDS and child.is_file()
                )
            except OSError as error:
                raise PalmettoError(
                    f"{path} cannot be read ({error.strerror}); correct its permissions."
                ) from None
            if not inside:
                raise PalmettoError(f"{path} holds no .npy or .bin file; name the files of token ids.")
            paths += inside
        elif not path.exists():
            raise PalmettoError(f"{path} does not exist; correct the path given as tokens.")
        elif path.suffix not in _KINDS:
            raise PalmettoError(
                f"{path} is not a .npy or .bin file; token ids come in those, and text is given as text."
            )
        else:
            paths.append(path)
    return paths


def _open(path: Path, bin_dtype: str) -> Shard:
    digest = sha256_file(path)
    if path.suffix == ".bin":
        dtype = np.dtype(bin_dtype).newbyteorder("<")
        size = path.stat().st_size
        if size % dtype.itemsize:
            raise PalmettoError(
                f"{path} holds {size:,} bytes, not a whole number of {bin_dtype} integers; it is cut short, or of "
                "another type (bin_dtype)."
            )
        # An empty file cannot be mapped.
        array = np.memmap(path, dtype, "r") if size else np.zeros(0, dtype)
        return Shard(path, "bin", digest, array)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise PalmettoError(f"{path} is not a readable .npy array ({error}).") from None
    if array.dtype.kind not in "iu" or array.ndim not in (1, 2):
        raise PalmettoError(
            f"{path} is an array of {array.dtype.name} with shape {list(array.shape)}; token ids are integers, flat or "
            "in rows."
        )
    return Shard(path, "npy", digest, array)


def _looks_like_32_bits(shard: Shard) -> bool:
    sample = shard.read(0, min(len(shard), _SAMPLE) & ~1)
    return len(sample) >= 64 and not sample[1::2].any() and bool(sample[::2].any())
