"""Files that are whole or absent: every write goes to a temporary name first and is renamed when complete.

A reader therefore never meets half a file, whatever moment a run was killed at.
"""

import gzip
import hashlib
import json
import math
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from palmetto.common.errors import PalmettoError

_CHUNK = 1 << 20


def sha256_bytes(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of the file's bytes, read in 1 MiB pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spare blanks: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def finite(value: Any) -> Any:
    """Return a JSON value in which numbers that are not finite are the words `nan` and `inf`: JSON has none."""
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def as_json(value: Any) -> Any:
    """Return a value as a file of JSON would give it back: a tuple becomes a list."""
    return json.loads(canonical_json(value))


def hash_json(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    return sha256_bytes(canonical_json(value).encode())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Yield a temporary path beside `final`; on a clean exit it is flushed to disk and renamed to `final`.

    The temporary file is removed when the body raises, so a full disk leaves the old file as it was.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}.partial")
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(final)
        _sync_folder(final.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(final: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `final`; on a clean exit it is renamed to `final`.

    The temporary folder is removed when the body raises, and what an attempt that was killed left is removed first.
    `final` must not exist: finished work is never overwritten.
    """
    if final.exists():
        raise PalmettoError(
            f"{final} already exists and finished work is never overwritten; move it away first."
        )
    temporary = final.with_name(f".{final.name}.partial")
    if temporary.exists():
        shutil.rmtree(temporary)
    temporary.mkdir(parents=True)
    try:
        yield temporary
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    temporary.rename(final)
    _sync_folder(final.parent)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically. Key order is the value's own."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        PalmettoError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PalmettoError(f"{path} does not exist.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PalmettoError(
            f"{path} is not valid JSON ({error}); it may be damaged, restore or remove it."
        ) from None


def write_json_lines(path: Path, rows: Iterable[Any]) -> None:
    """Write one JSON value a line, atomically; a name ending in `.gz` is compressed.

    The compressed bytes hold neither time nor name, so equal rows give equal files.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed:
                for row in rows:
                    packed.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
        else:
            for row in rows:
                raw.write((json.dumps(row, ensure_ascii=False) + "\n").encode())


def read_json_lines(path: Path) -> Iterator[Any]:
    """Yield the values of a JSON-lines file, compressed or not.

    Raises:
        PalmettoError: the file is missing, cut short, or holds a line that is not JSON (the line is named).
    """
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rt", encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):  # noqa: B007  (the handler names the line)
                if line.strip():
                    yield json.loads(line)
    except FileNotFoundError:
        raise PalmettoError(f"{path} does not exist.") from None
    except json.JSONDecodeError as error:
        raise PalmettoError(f"{path}, line {number}: not valid JSON ({error}).") from None
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise PalmettoError(f"{path}, after line {number}: damaged or not UTF-8 ({error}).") from None


def folder_bytes(folder: Path) -> int:
    """Return the bytes that the files below `folder` hold."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
