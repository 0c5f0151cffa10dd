"""Where the words of a text are, in any script.

A word is a run of letters, digits, underscores and the marks that belong to them; in scripts written without
spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) it is one character with its marks, as
nothing short of a dictionary would find longer ones.
"""

import re
import sys
import unicodedata
from functools import lru_cache

_SPACELESS = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0eda\u0edc-\u0edf\u1000-\u103f\u1050-\u109f\u1780-\u17d3"
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_spaceless = re.compile(f"[{_SPACELESS}]")


@lru_cache(maxsize=1)
def _word_pattern() -> re.Pattern[str]:
    # Python's \w leaves out combining marks, without which a Hindi or Thai word falls to pieces.
    ranges: list[list[int]] = []
    for code in range(0x300, min(0x20000, sys.maxunicode)):
        if unicodedata.category(chr(code))[0] == "M":
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    marks = "".join(f"{chr(low)}-{chr(high)}" for low, high in ranges)
    return re.compile(f"[{_SPACELESS}][{marks}]*|(?:(?![{_SPACELESS}])[\\w{marks}])+")


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return (start, end) of every word of `text`, in order."""
    return [match.span() for match in _word_pattern().finditer(text)]


def is_spaceless(character: str) -> bool:
    """Return whether the character belongs to a script written without spaces between words."""
    return _spaceless.match(character) is not None


def can_split_at(text: str, start: int) -> bool:
    """Return whether the word that starts at `start` can be cut off from what is before it.

    It can after white space, and at any word of a script without spaces.
    """
    return start > 0 and (text[start - 1].isspace() or is_spaceless(text[start]))


def split_before(text: str, start: int) -> tuple[str, str]:
    """Cut `text` before the word at `start`, the white space between going to the second part.

    This is where `lm_eval` puts it, and where a tokenizer that writes spaces before words has its boundary.
    """
    head = text[:start].rstrip()
    return head, text[len(head) :]
