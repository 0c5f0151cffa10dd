"""Cutting long texts: nothing is lost, pieces keep to their size, and end at paragraphs where they can."""

from hypothesis import given
from hypothesis import strategies as st

from palmetto.corpus.cutting import cut_stream, cut_text

_TEXTS = st.text(alphabet="ab \n", max_size=300)


@given(_TEXTS, st.integers(2, 40))
def test_the_pieces_together_are_the_text_and_none_is_too_long(text: str, size: int) -> None:
    pieces = list(cut_text(text, size))
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= size for piece in pieces)


@given(st.lists(_TEXTS, max_size=5), st.integers(2, 40))
def test_a_stream_is_cut_as_the_whole_text_is(blocks: list[str], size: int) -> None:
    assert list(cut_stream(blocks, size)) == list(cut_text("".join(blocks), size))


def test_a_piece_ends_at_a_paragraph_before_a_line_before_a_word() -> None:
    assert list(cut_text("aaaa a\n\nb\nb b bb", 10)) == ["aaaa a\n\n", "b\nb b bb"]
    assert list(cut_text("aaaa aa\nb b bb", 10)) == ["aaaa aa\n", "b b bb"]
    assert list(cut_text("aaaa aa b bbb", 10)) == ["aaaa aa b ", "bbb"]
    assert list(cut_text("a" * 12, 10)) == ["a" * 10, "aa"]
