"""The text that training read, against a search through the whole concatenation."""

from collections.abc import Sequence
from typing import SupportsIndex

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from palmetto.corpus.records import PackedRecords
from palmetto.study.consumed import consumed_texts
from palmetto.tokenizer.tokenizer import Tokenizer

EOD, LENGTH = 0, 5


class Letters(Tokenizer):
    """One letter a token."""

    def __init__(self) -> None:
        self.eod_id = EOD

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(chr(96 + token) for token in ids)


class Records(PackedRecords):
    """Records in memory."""

    def __init__(self, rows: np.ndarray) -> None:
        self._rows = rows

    def __getitem__(self, record: SupportsIndex) -> np.ndarray:
        return self._rows[record]


def pieces(tokens: np.ndarray, ids: set[int]) -> list[str]:
    """The oracle: walk over all tokens, one at a time; a gap or the end of a document closes a piece."""
    found, piece = [], ""
    for place, token in enumerate(tokens):
        if place // LENGTH not in ids:
            found, piece = found + [piece] * bool(piece), ""
        elif token == EOD:
            found, piece = [*found, piece], ""
        else:
            piece += chr(96 + token)
    return found + [piece] * bool(piece)


@given(
    st.lists(st.integers(0, 3), min_size=LENGTH, max_size=12 * LENGTH).map(
        lambda ids: ids[: len(ids) // LENGTH * LENGTH]
    ),
    st.data(),
)
def test_consumed_texts_are_the_documents_in_the_records_read(tokens: list[int], data: st.DataObject) -> None:
    records = np.array(tokens, np.int32).reshape(-1, LENGTH)
    ids = data.draw(st.lists(st.integers(0, len(records) - 1), max_size=2 * len(records)))
    found = list(consumed_texts(Records(records), np.array(ids, np.int64), Letters()))
    assert [text for text in found if text] == [text for text in pieces(np.array(tokens), set(ids)) if text]
