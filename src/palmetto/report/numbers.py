"""Numbers as people read them: few figures, a unit, a real minus sign. Absent values are a dash."""

from typing import Any, TypeAlias

Number: TypeAlias = float | int
"""Measured values: JSON has one kind of number and the shape checker tells the two apart."""

MISSING = "–"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _signed(text: str) -> str:
    return text.replace("-", "−")


def figures(value: Number | None, digits: int = 3) -> str:
    """Return a number to `digits` significant figures, without exponent between 0.001 and 100,000."""
    if value is None:
        return MISSING
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return scientific(value, digits)
    text = f"{value:.{digits}g}"
    return _signed(f"{value:,.0f}" if "e" in text or abs(value) >= 1000 else text)


def scientific(value: Number | None, digits: int = 3) -> str:
    """Return a number such as 2.13 × 10¹³."""
    if value is None:
        return MISSING
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return _signed(f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPT)}")


def count(value: Number | None) -> str:
    """Return a whole number with thousands separated."""
    return MISSING if value is None else _signed(f"{value:,.0f}")


def fixed(value: Number | None, places: int = 3) -> str:
    """Return a number with a fixed number of decimals."""
    return MISSING if value is None else _signed(f"{value:,.{places}f}")


def percent(value: Number | None, places: int = 1) -> str:
    """Return a fraction as a percentage: 0.371 gives 37.1%."""
    return MISSING if value is None else _signed(f"{100 * value:.{places}f}%")


def points(value: Number | None, places: int = 1) -> str:
    """Return a difference in points of 100, always with its sign: 9.0 gives +9.0."""
    return MISSING if value is None else _signed(f"{value + 0.0:+.{places}f}")


def parameters(value: Number | None) -> str:
    """Return a number of parameters the way tables of models print it: 0.16M, 4.9M, 62.5B."""
    if value is None:
        return MISSING
    scale, suffix = (1e9, "B") if value >= 1e9 else (1e6, "M")
    shown = value / scale
    if shown >= 99.5:
        return f"{shown:.0f}{suffix}"
    return f"{shown:.1f}{suffix}" if shown >= 0.995 else f"{shown:.2f}{suffix}"


def duration(seconds: Number | None) -> str:
    """Return a time such as 38 s, 4 min 12 s or 2 h 05 min."""
    if seconds is None:
        return MISSING
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size_bytes(value: Number | None) -> str:
    """Return a number of bytes with a decimal unit: 21.4 MB."""
    if value is None:
        return MISSING
    for scale, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= scale:
            return f"{value / scale:.1f} {unit}"
    return f"{value:.0f} bytes"


def interval(low: Number | None, high: Number | None, kind: str) -> str:
    """Return a confidence interval, both ends written as `kind` (see `show`)."""
    return MISSING if low is None or high is None else f"[{show(low, kind)}, {show(high, kind)}]"


def plain(value: Any) -> str:
    """Return a setting's value as text: lists joined, true and false as yes and no, small numbers legible."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _signed(f"{value:.10g}")
    if isinstance(value, int):
        return count(value) if abs(value) >= 10_000 else _signed(str(value))
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value) or MISSING
    return str(value)


def flatten(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as (dotted name, text) rows, in the order they were written."""
    rows: list[tuple[str, str]] = []
    for key, item in value.items():
        if isinstance(item, dict):
            rows += flatten(item, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", plain(item)))
    return rows


_KINDS = {
    "text": plain,
    "count": count,
    "parameters": parameters,
    "percent": percent,
    "points": points,
    "bits": fixed,
    "figures": figures,
    "scientific": scientific,
    "duration": duration,
    "bytes": size_bytes,
}


def show(value: Any, kind: str) -> str:
    """Return a value as its column's kind: text, count, parameters, percent, points, bits, figures, ..."""
    return _KINDS[kind](value)
