"""The units of the 8-gram rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmetto.analysis.words import ngrams, split_units


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("The CAT, sat.", ["the", "cat", "sat"]),
        ("a\tb\n\n c\u00a0d", ["a", "b", "c", "d"]),
        ("don't don\u2019t dont", ["dont", "dont", "dont"]),
        ("print('a_b')+x=1", ["print", "a", "b", "x", "1"]),
        ("\uff21\uff22\uff11 \ufb01n", ["ab1", "fin"]),  # full-width letters and a ligature, by NFKC
        ("北京 is 大", ["北", "京", "is", "大"]),
        ("ソフト", ["ソ", "フ", "ト"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),  # vowel signs belong to their word
        ("", []),
        ("?!… —", []),
    ],
)
def test_units(text, units):
    assert split_units(text) == units


def test_thai_is_cut_into_characters():
    assert len(split_units("กขค")) == 3


@given(
    st.lists(st.text("abcxyz", min_size=1), max_size=12), st.sampled_from([" ", "\n", ", ", " -- ", "\t("])
)
def test_case_white_space_and_punctuation_change_nothing(words, between):
    assert split_units(between.join(word.upper() for word in words)) == split_units(" ".join(words))


@given(st.text())
def test_any_text_can_be_split_and_units_hold_no_white_space(text):
    assert all(unit and not any(map(str.isspace, unit)) for unit in split_units(text))


def test_ngrams_of_a_short_text_are_none():
    assert ngrams(list("abcdefg")) == []
    assert ngrams(list("abcd"), 3) == [("a", "b", "c"), ("b", "c", "d")]
