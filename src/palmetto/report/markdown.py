"""Text of a study inside Markdown: escaped so that it stays text, whatever characters it holds."""

import re
from typing import Any

from palmetto.report import numbers

_SPECIAL = re.compile(r"([\\`*{}\[\]<>|#~&]|(?<!\w)_|_(?!\w))")


def inline(value: Any) -> str:
    """Return a value as one line of Markdown text, special characters escaped; fit for a table's cell."""
    return _SPECIAL.sub(r"\\\1", " ".join(numbers.plain(value).split()))
