"""Mixtures are exact in every block: against counting, and against a plain walk that deals the records out."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmetto.common.errors import PalmettoError
from palmetto.training.batches import Batches
from palmetto.training.mixture import Mixture
from palmetto.training.schedules import BatchSize

weights_lists = st.lists(st.integers(1, 12), min_size=1, max_size=5)


class Labelled:
    """Record i of source s is [s, i]."""

    def __init__(self, source: int, records: int) -> None:
        self._source, self._records = source, records

    def __len__(self) -> int:
        return self._records

    def __getitem__(self, index: int) -> np.ndarray:
        return np.array([self._source, index], np.uint16)

    def __repr__(self) -> str:
        return f"Labelled({self._source})"


def mixed(lengths: list[int], weights: list[int], seed: int = 0, epochs: int = 1) -> Batches:
    sources = [Labelled(source, records) for source, records in enumerate(lengths)]
    return Batches(sources, BatchSize((1,)), seed=seed, weights=weights, epochs=epochs)


@given(weights_lists, st.integers(0, 10**9))
def test_every_aligned_block_holds_each_source_as_its_weight_says(weights: list[int], block: int) -> None:
    """Also with common factors, as in (50, 30, 20); and however far into the run."""
    total = sum(weights)
    places = np.arange(block * total, (block + 1) * total)
    sources = Mixture(weights)[places][:, 0]
    assert Counter(sources.tolist()) == dict(enumerate(weights))


@given(weights_lists, st.integers(0, 400))
def test_a_source_s_records_are_counted_up_without_a_gap(weights: list[int], first: int) -> None:
    """Oracle: a plain walk from place 0 that deals each source's records out in turn."""
    mixture = Mixture(weights)
    dealt: Counter[int] = Counter()
    for source, record in mixture[np.arange(first + 1)].tolist():
        assert record == dealt[source]
        dealt[source] += 1
    np.testing.assert_array_equal(mixture[np.array([first])], mixture[np.arange(first + 1)][-1:])


@given(weights_lists)
def test_sources_are_spread_over_the_block(weights: list[int]) -> None:
    """At no place is a source further from its share than there are sources."""
    sources = Mixture(weights)[np.arange(2 * sum(weights))][:, 0]
    for source, weight in enumerate(weights):
        share = np.arange(1, len(sources) + 1) * weight / sum(weights)
        assert np.abs((sources == source).cumsum() - share).max() < len(weights)


@given(weights_lists, st.integers(2, 50))
def test_a_common_factor_of_the_weights_changes_nothing(weights: list[int], factor: int) -> None:
    places = np.arange(200)
    np.testing.assert_array_equal(Mixture(weights)[places], Mixture([factor * w for w in weights])[places])


@settings(max_examples=40, deadline=None)
@given(st.data(), weights_lists, st.integers(0, 2**32 - 1), st.integers(1, 2))
def test_no_source_repeats_within_an_epoch_and_the_mixture_ends_with_the_first_source(
    data: st.DataObject, weights: list[int], seed: int, epochs: int
) -> None:
    lengths = data.draw(st.lists(st.integers(1, 20), min_size=len(weights), max_size=len(weights)))
    batches = mixed(lengths, weights, seed, epochs)
    read = batches.consumed(len(batches))
    for source, length in enumerate(lengths):
        records = read[read[:, 0] == source, 1]
        assert len(records) <= epochs * length
        for epoch in range(0, len(records), length):
            part = records[epoch : epoch + length]
            assert len(set(part.tolist())) == len(part)
    after, _ = Mixture(weights)[np.array([len(batches)])][0]
    assert (read[:, 0] == after).sum() == epochs * lengths[after]
    with pytest.raises(PalmettoError, match="needs"):
        batches.record_ids(len(batches))


def test_the_error_past_the_end_names_the_source_that_ended() -> None:
    batches = mixed([100, 6, 100], [3, 2, 1])
    assert (
        18 <= len(batches) < 24
    )  # Three whole blocks of 6 places, and the part of one before source 1 is due.
    with pytest.raises(
        PalmettoError, match=rf"1 epoch.* source 1, Labelled\(1\), ends first.* hold {len(batches)}"
    ):
        batches.record_ids(50)


def test_rows_are_those_of_the_source_the_ids_name() -> None:
    batches = Batches([Labelled(s, 50) for s in range(3)], BatchSize((7,)), seed=1, weights=(3, 2, 1))
    for index in range(5):
        np.testing.assert_array_equal(batches[index], batches.record_ids(index))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_first_source_has_the_order_it_has_alone(seed: int) -> None:
    alone, both = mixed([30], [1], seed), mixed([30, 90], [1, 3], seed)
    read = both.consumed(len(both))
    np.testing.assert_array_equal(read[read[:, 0] == 0], alone.consumed(30)[: (read[:, 0] == 0).sum()])


def test_sources_of_equal_length_have_different_orders_in_every_epoch() -> None:
    batches = mixed([40, 40, 40], [1, 1, 1], epochs=3)
    read = batches.consumed(len(batches))
    orders = [
        tuple(read[read[:, 0] == source, 1][40 * epoch : 40 * epoch + 40])
        for source in range(3)
        for epoch in range(3)
    ]
    assert len(set(orders)) == 9


def test_another_weight_of_one_source_keeps_the_order_within_each() -> None:
    """A refreshed mixture reads a source's records in the order it had."""
    one, other = mixed([60, 60], [1, 1]), mixed([60, 60], [4, 1])
    for source in range(2):
        orders = [
            read[read[:, 0] == source, 1] for read in (one.consumed(len(one)), other.consumed(len(other)))
        ]
        shorter = min(map(len, orders))
        np.testing.assert_array_equal(orders[0][:shorter], orders[1][:shorter])


def test_weights_that_need_too_long_a_block_are_refused() -> None:
    weights = (999_983, 1_000_003)
    assert math.gcd(*weights) == 1
    with pytest.raises(PalmettoError, match=r"exact only over 1,999,986 records.*round them"):
        Mixture(weights)
