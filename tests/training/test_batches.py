"""Batches are pure in their index: against permutations, brute-force enumeration of skips, and a pinned order."""

import hashlib
import json
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmetto.common.errors import PalmettoError
from palmetto.training.batches import Batches
from palmetto.training.schedules import BatchSize

PINNED = json.loads(Path(__file__).with_name("pinned_order.json").read_text())


class Numbered:
    """Record i is [i, i, i]."""

    def __init__(self, records: int) -> None:
        self._records = records

    def __len__(self) -> int:
        return self._records

    def __getitem__(self, index: int) -> np.ndarray:
        return np.full(3, index, np.uint16)


SCHEDULE = BatchSize((2, 5, 3), (0, 4, 7))  # 8 + 15 + 3 a batch


def test_a_batch_does_not_depend_on_what_was_read_before() -> None:
    one, other = (Batches([Numbered(50)], SCHEDULE, seed=3) for _ in range(2))
    forwards = [one[index] for index in range(16)]
    backwards = [other[index] for index in reversed(range(16))][::-1]
    for a, b in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one[9], forwards[9])


def test_batches_have_the_scheduled_sizes_and_the_records_of_their_ids() -> None:
    batches = Batches([Numbered(50)], SCHEDULE, seed=3)
    for index in range(16):
        batch = batches[index]
        assert batch.dtype == np.int32
        assert batch.shape == (SCHEDULE.size(index), 3)
        ids = batches.record_ids(index)
        np.testing.assert_array_equal(batch, np.repeat(ids[:, 1:], 3, axis=1))
        assert not ids[:, 0].any()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(0, 2**31 - 1))
def test_one_epoch_reads_every_record_once(records: int, seed: int) -> None:
    batches = Batches([Numbered(records)], BatchSize((1,)), seed=seed)
    assert len(batches) == records
    assert sorted(batches.consumed(records)[:, 1].tolist()) == list(range(records))


def test_a_batch_past_the_epoch_is_an_error_naming_the_remedy() -> None:
    batches = Batches([Numbered(10)], BatchSize((4,)), seed=0)
    batches.record_ids(1)
    with pytest.raises(
        PalmettoError, match=r"Batch 2 needs 12 records.*1 epoch.*hold 10;.*more text.*`epochs`"
    ):
        batches.record_ids(2)


def test_two_epochs_read_every_record_twice_in_another_order() -> None:
    batches = Batches([Numbered(30)], BatchSize((5,)), seed=0, epochs=2)
    read = batches.consumed(12)[:, 1]
    first, second = read[:30].tolist(), read[30:].tolist()
    assert sorted(first) == sorted(second) == list(range(30))
    assert first != second
    with pytest.raises(PalmettoError, match=r"2 epoch\(s\) of the corpus hold 60"):
        batches.record_ids(12)


def test_the_first_epoch_does_not_depend_on_how_many_follow() -> None:
    one, two = (Batches([Numbered(30)], BatchSize((5,)), seed=7, epochs=epochs) for epochs in (1, 2))
    np.testing.assert_array_equal(one.consumed(6), two.consumed(6))


def test_the_batch_size_schedule_does_not_change_the_order_of_records() -> None:
    small, mixed = (Batches([Numbered(26)], schedule, seed=1) for schedule in (BatchSize((1,)), SCHEDULE))
    np.testing.assert_array_equal(small.consumed(26), mixed.consumed(8))


def test_seeds_give_different_orders() -> None:
    one, other = (Batches([Numbered(1000)], BatchSize((100,)), seed=seed).record_ids(0) for seed in (0, 1))
    assert (one != other).any()


@pytest.mark.parametrize("case", PINNED, ids=lambda case: f"{len(case['sources'])} sources")
def test_the_order_is_pinned(case: dict) -> None:
    """Guards runs against a library whose shuffle changes: the first 1,000 records of a fixed seed."""
    sources = [Numbered(records) for records in case["sources"]]
    batches = Batches(sources, BatchSize((1000,)), seed=case["seed"], weights=case["weights"])
    ids = batches.record_ids(0)
    assert ids[:8].tolist() == case["first_eight"]
    assert hashlib.sha256(ids.astype("<i8").tobytes()).hexdigest() == case["sha256_of_first_1000"]


def test_the_pinned_order_of_one_source_is_that_of_the_first_release() -> None:
    """Palmetto 0.1 hashed the record numbers alone; studies made with it must go on as they began."""
    order = Batches([Numbered(5000)], BatchSize((1000,)), seed=42).record_ids(0)[:, 1]
    assert order[:8].tolist() == [275, 1881, 4250, 3984, 4319, 1358, 1649, 814]
    first_release = "49ebe66d47c1144cfe60c1c9368fabac515f2ae6103c6d1a362d59ee4ff2bac9"
    assert hashlib.sha256(order.astype("<i8").tobytes()).hexdigest() == first_release


ranges = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda r: (r[0], r[0] + r[1])), max_size=5
)


@given(ranges)
def test_steps_take_the_indices_that_are_not_skipped_in_order(skipped: list[tuple[int, int]]) -> None:
    """Oracle: enumerate all indices, leave out the skipped ones. Ranges may overlap, touch or be empty."""
    batches = Batches([Numbered(10)], BatchSize((1,)), seed=0, skipped=skipped)
    kept = (index for index in count() if not any(first <= index < end for first, end in skipped))
    assert [batches.index(step) for step in range(60)] == list(islice(kept, 60))


@settings(max_examples=40, deadline=None)
@given(ranges)
def test_consumed_is_what_the_updates_read(skipped: list[tuple[int, int]]) -> None:
    batches = Batches([Numbered(300)], SCHEDULE, seed=5, skipped=skipped)
    read = [batches[batches.index(step)][:, 0] for step in range(12)]
    np.testing.assert_array_equal(batches.consumed(12)[:, 1], np.concatenate(read))


def test_no_updates_consume_nothing() -> None:
    assert Batches([Numbered(10)], BatchSize((4,)), seed=0).consumed(0).shape == (0, 2)


def test_negative_steps_and_batches_are_errors() -> None:
    batches = Batches([Numbered(10)], BatchSize((4,)), seed=0)
    with pytest.raises(PalmettoError, match="no optimizer step -1"):
        batches.index(-1)
    for read in (batches.record_ids, batches.__getitem__, batches.size, lambda i: batches.rows(i, 0, 1)):
        with pytest.raises(PalmettoError, match="no batch -3"):
            read(-3)


@pytest.mark.parametrize(("first", "end"), [(-1, 2), (0, 0), (2, 1), (0, 5), (4, 5)])
def test_slots_that_a_batch_does_not_have_are_an_error(first: int, end: int) -> None:
    batches = Batches([Numbered(10)], BatchSize((4,)), seed=0)
    with pytest.raises(PalmettoError, match=r"Batch 1 has slots 0 \.\. 3, not"):
        batches.rows(1, first, end)


def test_token_ids_outside_the_vocabulary_are_an_error_naming_the_record() -> None:
    batches = Batches([Numbered(10)], BatchSize((1,)), seed=0, vocab_size=7)
    for index in range(10):
        record = int(batches.record_ids(index)[0, 1])
        if record < 7:
            batches[index]
        else:
            with pytest.raises(PalmettoError, match=rf"Batch {index}: record {record} of.*has 7"):
                batches[index]


@pytest.mark.parametrize(
    ("sources", "keywords", "said"),
    [
        ([], {"weights": ()}, "give each source"),
        ([3], {"weights": (1, 2)}, "1 sources and 2 weights"),
        ([3], {"weights": (0,)}, "at least 1"),
        ([0], {}, "Source 0.*holds 0 records"),
        ([3], {"epochs": 0}, "epochs is 0"),
        ([3], {"seed": -1}, "seed -1"),
        ([3], {"seed": 2**32}, "seed 4294967296"),
        ([3], {"skipped": [(5, 4)]}, r"\(5, 4\)"),
        ([3], {"skipped": [(-1, 4)]}, r"\(-1, 4\)"),
    ],
)
def test_arguments_out_of_range_are_named(sources: list[int], keywords: dict, said: str) -> None:
    with pytest.raises(PalmettoError, match=said):
        Batches([Numbered(one) for one in sources], BatchSize((1,)), **{"seed": 0, **keywords})


def test_sources_with_records_of_different_lengths_are_refused() -> None:
    class Longer(Numbered):
        def __getitem__(self, index: int) -> np.ndarray:
            return np.zeros(5, np.uint16)

    with pytest.raises(PalmettoError, match=r"Source 1.*5.*and source 0 of .*3.*sequence_length"):
        Batches([Numbered(9), Longer(9)], BatchSize((1,)), seed=0, weights=(1, 1))
