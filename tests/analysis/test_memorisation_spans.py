"""Which spans the memorisation study asks for."""

import numpy as np
import pytest

from palmetto.analysis.config import MemorisationConfig
from palmetto.analysis.spans import BINS, choose_spans
from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Silent

CONFIG = MemorisationConfig(
    n_spans=40, n_heldout=30, spans_per_bin=5, n_candidates=2000, prompt_tokens=6, generated_tokens=4
)


def corpus(repeats=(1, 1, 1, 2, 4, 8, 20, 60), length=24):
    """Return records of which record pattern i is there repeats[i] times, shuffled; all tokens differ."""
    random = np.random.default_rng(0)
    patterns = np.arange(len(repeats) * length).reshape(len(repeats), length)
    return random.permutation(np.repeat(patterns, repeats, axis=0)).astype(np.uint16)


def heldout(rows=10, length=24):
    return (np.arange(rows * length).reshape(rows, length) + 10_000).astype(np.uint16)


def test_every_bin_is_filled_with_distinct_spans_of_its_repetitions():
    spans = choose_spans(corpus(), heldout(), CONFIG, Silent())
    assert [len(found.tokens) for found in spans.by_repetition] == [5] * len(BINS)
    for (_, low, high), found in zip(BINS, spans.by_repetition, strict=True):
        assert found.repetitions.min() >= low
        assert high is None or found.repetitions.max() <= high
        assert len(np.unique(found.tokens, axis=0)) == len(found.tokens)


def test_the_repetitions_are_the_planted_ones():
    records = corpus()
    spans = choose_spans(records, heldout(), CONFIG, Silent())
    for span, repetitions in zip(spans.train.tokens, spans.train.repetitions, strict=True):
        assert repetitions == (records == span[0]).sum()  # all tokens differ, so the first names the span


def test_random_training_spans_follow_the_records_frequencies():
    config = MemorisationConfig(n_spans=500, n_candidates=0, prompt_tokens=6, generated_tokens=4)
    spans = choose_spans(corpus(), heldout(), config, Silent())
    assert len(spans.train.tokens) == 500
    assert abs((spans.train.repetitions == 60).mean() - 60 / 97) < 0.07  # three standard deviations


def test_heldout_spans_come_from_the_heldout_records():
    spans = choose_spans(corpus(), heldout(), CONFIG, Silent())
    assert len(spans.heldout.tokens) == 30
    assert spans.heldout.tokens.min() >= 10_000
    assert not spans.heldout.repetitions.any()


def test_equal_seeds_give_equal_spans_and_others_differ():
    first, again = (choose_spans(corpus(), heldout(), CONFIG, Silent()) for _ in range(2))
    other = choose_spans(corpus(), heldout(), MemorisationConfig(**{**CONFIG.__dict__, "seed": 1}), Silent())
    assert (first.train.tokens == again.train.tokens).all()
    assert (first.by_repetition[0].tokens == again.by_repetition[0].tokens).all()
    assert (first.train.tokens != other.train.tokens).any()


def test_fewer_places_than_spans_gives_all_of_them():
    spans = choose_spans(corpus(repeats=(1,), length=12), heldout(0, 12), CONFIG, Silent())
    assert len(spans.train.tokens) == 3
    assert len(spans.heldout.tokens) == 0
    assert [len(found.tokens) for found in spans.by_repetition] == [3, 0, 0, 0, 0, 0]


def test_records_shorter_than_a_span_are_an_error():
    with pytest.raises(PalmettoError, match="at least 10 tokens"):
        choose_spans(corpus(length=9), heldout(length=9), CONFIG, Silent())
