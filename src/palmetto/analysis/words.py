"""The units of which the contamination rule's 8-grams are made (PaLM §8).

A unit is a word after NFKC, lower-casing and dropping punctuation. Where a script writes no spaces between
words, every character is a unit. So a text is recognised through changes of case, white space, punctuation
and compatibility forms.
"""

import re
import unicodedata

from palmetto.evaluation.words import is_spaceless

_APOSTROPHE = re.compile(r"(?<=[^\W_])['\u2019\u02bc](?=[^\W_])")


class _Separators(dict[int, str]):
    """What `str.translate` puts for each character, worked out at the character's first appearance."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if unicodedata.category(character)[0] in "PSZC":
            self[code] = " "
        elif is_spaceless(character):
            self[code] = f" {character} "
        else:
            self[code] = character
        return self[code]


_separators = _Separators()


def split_units(text: str) -> list[str]:
    """Return the units of a text, in order.

    Punctuation, symbols and control characters separate words; an apostrophe between letters joins them
    ("don't" is one unit, "dont"), because texts differ in writing it.
    """
    folded = unicodedata.normalize("NFKC", text).lower()
    return _APOSTROPHE.sub("", folded).translate(_separators).split()


def ngrams(units: list[str], n: int = 8) -> list[tuple[str, ...]]:
    """Return all len(units) - n + 1 n-grams in order, equal ones repeatedly; none of a shorter text."""
    return [tuple(units[start : start + n]) for start in range(len(units) - n + 1)]
