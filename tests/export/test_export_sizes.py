"""`--max-shard-size`: what sizes may look like."""

import pytest

from palmetto.cli.export import parse_size
from palmetto.common.errors import PalmettoError


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("5GB", 5 * 10**9), ("500 mb", 5 * 10**8), ("2GiB", 2**31), ("1.5KB", 1500), ("64KiB", 2**16)],
)
def test_a_size_has_a_unit_or_is_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "5 apples", "1e9", "0.5"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(PalmettoError, match="--max-shard-size"):
        parse_size(text)
