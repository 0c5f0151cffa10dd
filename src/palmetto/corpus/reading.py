"""Read one file into texts: plain text, JSON lines or Parquet, strictly.

datatrove's own readers log a bad line and go on, and take a missing field for an empty text. Here a file is
either read whole or refused with the line and the reason, so these readers are our own.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palmetto.common.json_lines import BadLineError, json_objects, text_field
from palmetto.corpus.config import CorpusConfig
from palmetto.corpus.cutting import cut_stream

_JSON_LINES = (".jsonl", ".jsonl.gz", ".json.gz")
# Longer fields of a row are other texts, not facts about it; keeping them would double the corpus.
_LONGEST_METADATA = 1_000
_BLOCK = 1 << 20


class UnreadableError(Exception):
    """A file's content cannot be used; the message is the reason, without the path."""


@dataclass(frozen=True)
class Row:
    """One text of a file."""

    text: str
    suffix: str
    """What is added to the file's id to name this text: empty, or `:` or `#` and a number."""

    metadata: dict[str, str]


def file_kind(path: Path) -> str:
    """Return the file's suffix, which says how it is read: `.jsonl.gz` counts as one, `(none)` is none."""
    name = path.name.lower()
    for suffix in (*_JSON_LINES, ".parquet"):
        if name.endswith(suffix):
            return suffix
    return path.suffix.lower() or "(none)"


def read_file(path: Path, config: CorpusConfig) -> Iterator[Row]:
    """Yield the texts of a file.

    Raises:
        UnreadableError: it cannot be opened, is damaged, binary or not UTF-8, or a row has no text. Plain
        text up to
            `large_file_bytes` is refused before anything is yielded, the rest when the bad place is reached.
    """
    kind = file_kind(path)
    try:
        if kind in _JSON_LINES:
            yield from _json_lines(path, config.text_column)
        elif kind == ".parquet":
            yield from _parquet(path, config.text_column)
        elif reads_in_pieces(path, path.stat().st_size, config):
            for number, piece in enumerate(cut_stream(_blocks(path), config.piece_characters)):
                yield Row(piece, f"#{number:08d}", {})
        else:
            yield Row(_decode(path.read_bytes()), "", {})
    except BadLineError as error:
        raise UnreadableError(str(error)) from None
    except OSError as error:
        raise UnreadableError(f"cannot be read ({error.strerror or error})") from error


def is_plain_text(path: Path) -> bool:
    """Say whether the file is read as plain text, going by its name."""
    return file_kind(path) not in (*_JSON_LINES, ".parquet")


def reads_in_pieces(path: Path, size: int, config: CorpusConfig) -> bool:
    """Say whether a file of `size` bytes is plain text too large to be read as one."""
    return is_plain_text(path) and size > config.large_file_bytes


def _decode(data: bytes) -> str:
    if b"\0" in data:
        raise UnreadableError("is binary (it holds a NUL byte); convert it to UTF-8 text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"is not UTF-8 text (at byte {error.start}); convert it to UTF-8") from None


def _blocks(path: Path) -> Iterator[str]:
    # Text mode makes \r\n and \r to \n across block borders, and drops a byte order mark.
    with path.open(encoding="utf-8-sig", newline=None) as stream:
        try:
            while block := stream.read(_BLOCK):
                if "\0" in block:
                    raise UnreadableError("is binary (it holds a NUL byte); convert it to UTF-8 text")
                yield block
        except UnicodeDecodeError as error:
            raise UnreadableError(f"is not UTF-8 text ({error.reason}); convert it to UTF-8") from None


def _json_lines(path: Path, column: str) -> Iterator[Row]:
    for number, value in json_objects(path):
        yield _row(value, column, f"line {number}", f":{number:08d}")


def _parquet(path: Path, column: str) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet, types

    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            if column not in schema.names:
                there = ", ".join(schema.names)
                raise UnreadableError(f"has no column {column!r} but {there}; set text_column to one of them")
            if not (
                types.is_string(schema.field(column).type) or types.is_large_string(schema.field(column).type)
            ):
                raise UnreadableError(
                    f"column {column!r} holds {schema.field(column).type}, not text; set text_column"
                )
            # A column of vectors or nested values says nothing of use here and may be many times the text.
            flat = [name for name in schema.names if not types.is_nested(schema.field(name).type)]
            number = 0
            for batch in file.iter_batches(batch_size=256, columns=flat):
                for value in batch.to_pylist():
                    number += 1
                    yield _row(value, column, f"row {number}", f":{number:08d}")
    except pyarrow.ArrowException as error:
        raise UnreadableError(f"is not a readable Parquet file ({str(error).splitlines()[0]})") from None


def _row(value: dict[str, Any], column: str, place: str, suffix: str) -> Row:
    text = text_field(value, column, place, "set text_column")
    metadata = {}
    for name, item in value.items():
        if name != column and item is not None and not isinstance(item, dict | list | bytes):
            shown = item if isinstance(item, str) else json.dumps(item, default=str)
            if len(shown) <= _LONGEST_METADATA:
                metadata[_encodable(name)] = _encodable(shown)
    return Row(text, suffix, metadata)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
