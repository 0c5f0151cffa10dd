"""Streaming questions about the corpus; the oracle is brute force over every window."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmetto.common.progress import Silent
from palmetto.corpus import questions
from palmetto.corpus.questions import count_spans, seen_ngrams


def brute_force(spans, records):
    counts = []
    for span in spans.tolist():
        counts.append(
            sum(
                record[start : start + len(span)] == span
                for record in records.tolist()
                for start in range(len(record) - len(span) + 1)
            )
        )
    return counts


@st.composite
def spans_and_blocks(draw):
    """Small alphabets, so that spans repeat, overlap and share prefixes; some spans lie in the records."""
    alphabet, width, length = draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 12))
    rows, wanted = draw(st.integers(0, 6)), draw(st.integers(0, 8))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    records = random.integers(0, alphabet, (rows, length)).astype(np.uint16)
    spans = random.integers(0, alphabet, (wanted, width)).astype(np.int32)
    cut = draw(st.integers(0, rows))
    return spans, records, [records[:cut], records[cut:]]


@given(spans_and_blocks())
@settings(max_examples=150, deadline=None)
def test_counts_are_those_of_brute_force(case):
    spans, records, blocks = case
    assert count_spans(spans, blocks, Silent()).tolist() == brute_force(spans, records)


@given(spans_and_blocks(), st.integers(0, 1))
@settings(max_examples=100, deadline=None)
def test_hits_are_verified_so_that_colliding_hashes_change_nothing(case, bits):
    spans, records, blocks = case
    with pytest.MonkeyPatch.context() as patch:
        # at most two different token hashes: nearly every window collides with nearly every span
        patch.setattr(questions, "_mix", lambda tokens: tokens.astype(np.uint64) & np.uint64(bits))
        assert count_spans(spans, blocks, Silent()).tolist() == brute_force(spans, records)


@given(spans_and_blocks())
@settings(max_examples=60, deadline=None)
def test_slices_hold_every_window_exactly_once(case):
    spans, records, blocks = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(questions, "_SLICE_TOKENS", 3)
        patch.setattr(questions, "_VERIFY_TOKENS", 2)
        assert count_spans(spans, blocks, Silent()).tolist() == brute_force(spans, records)


def test_overlapping_occurrences_count():
    records = np.zeros((1, 10), np.uint16)
    assert count_spans(np.zeros((1, 4), np.int32), [records], Silent()).tolist() == [7]


def test_a_span_never_crosses_records():
    records = np.array([[1, 2], [3, 4]], np.uint16)
    assert count_spans(np.array([[2, 3], [1, 2]]), [records], Silent()).tolist() == [0, 1]


def test_equal_questions_get_the_same_count():
    records = np.array([[5, 6, 5, 6]], np.uint16)
    assert count_spans(np.array([[5, 6], [6, 5], [5, 6]]), [records], Silent()).tolist() == [2, 1, 2]


def test_tokens_beyond_sixteen_bits_are_told_apart():
    records = np.array([[1 << 20, 1, 1 << 16]], np.uint32)
    spans = np.array([[1 << 20, 1], [0, 1], [1, 1 << 16]])
    assert count_spans(spans, [records], Silent()).tolist() == [1, 0, 1]


def test_many_long_spans_in_many_records_are_counted_exactly():
    random = np.random.default_rng(7)
    records = random.integers(0, 4096, (300, 120)).astype(np.uint16)
    records[100:200] = records[:100]
    spans = np.stack([records[row, 10:110] for row in range(300)])
    assert count_spans(spans, [records], Silent()).tolist() == [2] * 200 + [1] * 100


def test_spans_without_tokens_are_refused():
    with pytest.raises(ValueError, match="at least one token"):
        count_spans(np.zeros((2, 0), np.int32), [], Silent())


def windows(units, n):
    return {tuple(units[start : start + n]) for start in range(len(units) - n + 1)}


@given(
    st.sets(st.lists(st.sampled_from("abc"), min_size=3, max_size=3).map(tuple), max_size=12),
    st.lists(st.lists(st.sampled_from("abcd"), max_size=12), max_size=6),
)
@settings(max_examples=150, deadline=None)
def test_seen_ngrams_are_those_of_brute_force(asked, texts):
    joined = [" ".join(text) for text in texts]
    expected = asked & set().union(*(windows(text, 3) for text in texts))
    assert seen_ngrams(asked, joined, str.split, Silent(), n=3) == expected


def test_an_ngram_never_crosses_texts():
    assert seen_ngrams({("a", "b")}, ["x a", "b y"], str.split, Silent(), n=2) == set()


def test_the_stream_may_be_longer_than_one_slice(monkeypatch):
    monkeypatch.setattr(questions, "_SLICE_TOKENS", 4)
    texts = ["a b c d e f g h i j k l m", "n o p"]
    asked = {("l", "m"), ("o", "p"), ("m", "n")}
    assert seen_ngrams(asked, texts, str.split, Silent(), n=2) == {("l", "m"), ("o", "p")}


def test_questions_of_another_length_are_refused():
    with pytest.raises(ValueError, match="n = 2"):
        seen_ngrams({("a", "b", "c")}, [], str.split, Silent(), n=2)
