import numpy as np
import pytest

from palmetto.evaluation import statistics
from palmetto.evaluation.statistics import bootstrap_interval, paired_bootstrap, wilson_interval


def test_equal_values_have_an_interval_of_no_width():
    assert bootstrap_interval(np.ones(50), 0.95, 200, 0) == (1.0, 1.0)


def test_the_interval_of_a_rate_agrees_with_the_normal_one():
    # by hand: 400 of 1,000: 0.4 +- 1.96 * sqrt(0.4 * 0.6 / 1000) = 0.4 +- 0.0304
    low, high = bootstrap_interval(np.repeat([1.0, 0.0], [400, 600]), 0.95, 20_000, 0)
    assert (low, high) == pytest.approx((0.3696, 0.4304), abs=0.002)


def test_the_interval_agrees_with_scipys():
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(3).gamma(2.0, size=80)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(4)
    ).confidence_interval
    assert bootstrap_interval(values, 0.95, 20_000, 0) == pytest.approx(tuple(theirs), abs=0.02)


def test_the_interval_is_a_function_of_the_seed():
    values = np.arange(30) / 30
    assert bootstrap_interval(values, 0.9, 500, 1) == bootstrap_interval(values, 0.9, 500, 1)
    assert bootstrap_interval(values, 0.9, 500, 1) != bootstrap_interval(values, 0.9, 500, 2)


def test_resamples_are_drawn_in_portions_that_bound_memory(monkeypatch):
    monkeypatch.setattr(statistics, "_CELLS", 100)
    assert list(statistics._portions(25, 10)) == [10, 10, 5]
    assert list(statistics._portions(2, 1000)) == [1, 1]


def test_a_clear_paired_difference_has_a_small_p_value():
    b = np.repeat([0.0, 1.0], 50)
    found = paired_bootstrap(np.concatenate([np.ones(20), b[20:]]), b)
    assert found.difference == pytest.approx(0.2)
    assert 0 < found.low < 0.2 < found.high
    # no resample of 100 lacks all 20 wins (chance 0.8^100), so by hand 2 * (0 + 1) / 2001
    assert found.p_value == pytest.approx(2 / 2001)


def test_equal_models_do_not_differ():
    scores = np.array([0, 1, 1, 0])
    found = paired_bootstrap(scores, scores)
    assert (found.difference, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_pairing_removes_what_the_items_share():
    hard = np.random.default_rng(0).random(200)
    paired = paired_bootstrap(hard + 0.01, hard)
    assert paired.high - paired.low < 1e-9


def test_paired_scores_of_different_lengths_are_refused():
    with pytest.raises(Exception, match="N"):
        paired_bootstrap(np.zeros(3), np.zeros(4))


@pytest.mark.parametrize(("matches", "n"), [(0, 10), (1, 12), (7, 40), (40, 40)])
def test_wilsons_interval_agrees_with_scipys(matches, n):
    stats = pytest.importorskip("scipy.stats")
    theirs = stats.binomtest(matches, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(matches, n, 0.95) == pytest.approx(tuple(theirs), abs=1e-12)


def test_wilsons_interval_of_no_match_starts_at_nought():
    # by hand: z^2 / (n + z^2) with z = 1.959964, n = 10
    assert wilson_interval(0, 10, 0.95) == pytest.approx((0.0, 0.277533), abs=1e-6)


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="got 0 values"):
        bootstrap_interval(np.zeros(0), 0.95, 10, 0)
    with pytest.raises(ValueError, match="got 0 values"):
        wilson_interval(0, 0, 0.95)
