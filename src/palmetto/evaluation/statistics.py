"""Intervals around scores, and whether two models differ: percentile bootstrap and Wilson's interval."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Integer

_CELLS = 4_000_000  # drawn at a time: 32 MB


@dataclass(frozen=True)
class PairedDifference:
    """How much better one model did than another on the same items."""

    difference: float
    """Mean of first minus second."""

    low: float
    """Lower end of the interval around it."""

    high: float
    """Upper end."""

    p_value: float
    """Two-sided: twice the smaller share of resampled differences on the other side of 0 (or on it), at most
    1, counting one resample more than drawn, so never 0."""


def _resampled_means(values: Float[np.ndarray, " N"], n_samples: int, seed: int) -> Float[np.ndarray, " R"]:
    """Return the means of `n_samples` resamples with replacement.

    Draws per distinct value, not per item: the counts of a resample are multinomial. For scores of 0 and 1
    that is one binomial draw a resample.
    """
    distinct, counts = np.unique(values, return_counts=True)
    random = np.random.default_rng(seed)
    shares = counts / len(values)
    means = [
        random.multinomial(len(values), shares, size=size) @ distinct / len(values)
        for size in _portions(n_samples, len(distinct))
    ]
    return np.concatenate(means)


def _portions(n_samples: int, width: int) -> Iterator[int]:
    most = max(1, _CELLS // width)
    for start in range(0, n_samples, most):
        yield min(most, n_samples - start)


def bootstrap_interval(
    values: Float[np.ndarray, " N"] | Integer[np.ndarray, " N"], confidence: float, n_samples: int, seed: int
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean (Efron & Tibshirani 1993, chapter 13).

    Args:
        values: one score an item.
        confidence: coverage aimed at, in (0, 1).
        n_samples: resamples.
        seed: seed of the resampling.

    Raises:
        ValueError: there are no values, or `confidence` or `n_samples` is out of range.
    """
    _check(len(values), confidence, n_samples)
    means = _resampled_means(values.astype(np.float64), n_samples, seed)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def ratio_bootstrap(
    parts: Float[np.ndarray, " N"],
    weights: Float[np.ndarray, " N"],
    confidence: float,
    n_samples: int,
    seed: int,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of sum(parts) / sum(weights), both resampled together.

    Bits per byte is such a ratio: documents are drawn, each with its loss and its bytes.

    Args:
        parts: numerator of each document.
        weights: denominator of each document, above 0.
        confidence: coverage aimed at, in (0, 1).
        n_samples: resamples.
        seed: seed of the resampling.

    Raises:
        ValueError: there are no documents, or `confidence` or `n_samples` is out of range.
    """
    _check(len(parts), confidence, n_samples)
    generator = np.random.default_rng(seed)
    ratios = []
    for count in _portions(n_samples, len(parts)):
        drawn = generator.integers(0, len(parts), (count, len(parts)))
        ratios.append(parts[drawn].sum(axis=1) / weights[drawn].sum(axis=1))
    low, high = np.quantile(np.concatenate(ratios), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def paired_bootstrap(
    a: Float[np.ndarray, " N"] | Integer[np.ndarray, " N"],
    b: Float[np.ndarray, " N"] | Integer[np.ndarray, " N"],
    confidence: float = 0.95,
    n_samples: int = 2000,
    seed: int = 0,
) -> PairedDifference:
    """Compare two models on the same items by resampling the items (Koehn 2004).

    Args:
        a: scores of the first model, one an item.
        b: scores of the second model on the same items, in the same order.
        confidence: coverage of the interval, in (0, 1).
        n_samples: resamples.
        seed: seed of the resampling.

    Raises:
        ValueError: there are no items, or `confidence` or `n_samples` is out of range.
    """
    _check(len(a), confidence, n_samples)
    differences = a.astype(np.float64) - b.astype(np.float64)
    means = _resampled_means(differences, n_samples, seed)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    tail = min(int((means <= 0).sum()), int((means >= 0).sum()))
    p_value = min(1.0, 2 * (tail + 1) / (n_samples + 1))
    return PairedDifference(float(differences.mean()), float(low), float(high), p_value)


def wilson_interval(matches: int, n: int, confidence: float) -> tuple[float, float]:
    """Return Wilson's score interval of a rate, which holds for few matches and for none (Wilson 1927).

    Args:
        matches: successes, 0 .. n.
        n: trials, at least 1.
        confidence: coverage aimed at, in (0, 1).

    Raises:
        ValueError: an argument is out of range.
    """
    _check(n, confidence, 1)
    if not 0 <= matches <= n:
        raise ValueError(f"matches must be 0 .. {n}, but is {matches}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate = matches / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # The ends are exact where rounding would leave 1e-17 or 1 - 1e-16.
    low = 0.0 if matches == 0 else max(0.0, centre - half)
    high = 1.0 if matches == n else min(1.0, centre + half)
    return low, high


def _check(n: int, confidence: float, n_samples: int) -> None:
    if n < 1 or not 0 < confidence < 1 or n_samples < 1:
        raise ValueError(
            f"need values, a confidence in (0, 1) and resamples; got {n} values, {confidence}, {n_samples}"
        )
