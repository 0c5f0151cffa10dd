"""JSON lines of outside origin, read strictly: either every line is an object with its text, or the line is named."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class BadLineError(Exception):
    """A line cannot be used; the message names it and the reason, without the file's path."""


def json_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number (from 1) and the value of each line that is not blank; a name in `.gz` is decompressed.

    Raises:
        BadLineError: a line is not UTF-8, not JSON or not an object, or the compressed file is damaged.
        OSError: the file cannot be read.
    """
    number = 0
    with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as stream:
        lines = iter(io.BufferedReader(stream) if isinstance(stream, gzip.GzipFile) else stream)
        while True:
            try:
                line = next(lines, None)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise BadLineError(f"after line {number}: is damaged ({error}); fetch it again") from None
            if line is None:
                return
            number += 1
            if line.strip():
                yield number, _value(line, number)


def _value(line: bytes, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as error:
        raise BadLineError(f"line {number}: is not UTF-8 (at byte {error.start}); convert it") from None
    except (ValueError, RecursionError) as error:
        raise BadLineError(f"line {number}: is not JSON ({error}); mend or remove the line") from None
    if not isinstance(value, dict):
        raise BadLineError(
            f"line {number}: is not a JSON object; each line must be one with its text in a field"
        )
    return value


def text_field(value: dict[str, Any], field: str, place: str, remedy: str) -> str:
    """Return the text in a field of a row.

    Args:
        value: the row.
        field: the field's name.
        place: names the row in errors, such as `line 3`.
        remedy: how to name another field.

    Raises:
        BadLineError: the field is missing, not a string, or holds what UTF-8 cannot.
    """
    text = value.get(field)
    if not isinstance(text, str):
        there = ", ".join(map(str, value)) or "none"
        what = f"has no field {field!r}" if field not in value else f"field {field!r} is not a string"
        raise BadLineError(f"{place}: {what} (its fields: {there}); {remedy} or mend it")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadLineError(
            f"{place}: field {field!r} holds a lone surrogate, which has no UTF-8 form; remove it"
        ) from None
    return text
