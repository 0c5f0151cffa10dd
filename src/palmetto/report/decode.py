"""JSON files to frozen dataclasses, checked field by field: a damaged file is named together with the field.

Keys that a class does not know are left aside, so later versions may add fields without breaking this reader.
"""

import dataclasses
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json

T = TypeVar("T")

FORMAT = 1
"""The `format` number of the study's files that this reader understands."""


def read_as(kind: type[T], path: Path) -> T:
    """Read a JSON file as the dataclass `kind`.

    Raises:
        PalmettoError: the file is missing, is not JSON, has another `format`, lacks a field or holds one of
            the wrong type; the message names file and field.
    """
    value = read_json(path)
    found = value.get("format", FORMAT) if isinstance(value, dict) else FORMAT
    if found != FORMAT:
        raise PalmettoError(
            f"{path} has format {found!r} and this version reads {FORMAT}; use the version that wrote it."
        )
    return decode(kind, value, str(path))


def read_optional(kind: type[T], path: Path) -> T | None:
    """Read a JSON file as `kind`, or return None when the stage that writes it has not run yet."""
    return read_as(kind, path) if path.exists() else None


def decode(kind: type[T], value: Any, where: str) -> T:
    """Return the JSON `value` as the dataclass `kind`; `where` begins the message of an error.

    Raises:
        PalmettoError: a field is missing or of the wrong type.
    """
    if not isinstance(value, dict):
        raise _damaged(where, "an object", value)
    hints = typing.get_type_hints(kind)
    chosen: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name in value:
            chosen[field.name] = _convert(hints[field.name], value[field.name], f"{where}: {field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise PalmettoError(
                f"{where} lacks the field {field.name!r}; the file is damaged or of another version: "
                "restore it, or redo the stage that wrote it."
            )
    return kind(**chosen)


def _convert(kind: Any, value: Any, where: str) -> Any:
    """Return `value` as the annotated type: dataclass, tuple[X, ...], dict[str, X], X | None or a scalar."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        kind = next(argument for argument in arguments if argument is not type(None))
        return _convert(kind, value, where)
    if dataclasses.is_dataclass(kind):
        return decode(typing.cast(type[Any], kind), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise _damaged(where, "a list", value)
        if arguments[-1] is Ellipsis:
            return tuple(_convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
        if len(value) != len(arguments):
            raise _damaged(where, f"a list of {len(arguments)}", value)
        return tuple(_convert(part, item, where) for part, item in zip(arguments, value, strict=True))
    if origin is dict or kind is dict:
        if not isinstance(value, dict):
            raise _damaged(where, "an object", value)
        inner = arguments[1] if arguments else Any
        return {key: _convert(inner, item, f"{where}.{key}") for key, item in value.items()}
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise _damaged(
        where, {str: "text", int: "a whole number", float: "a number", bool: "true or false"}[kind], value
    )


def _damaged(where: str, wanted: str, value: Any) -> PalmettoError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return PalmettoError(
        f"{where} should be {wanted} and is {shown}; the file is damaged or of another version: "
        "restore it, or redo the stage that wrote it."
    )
