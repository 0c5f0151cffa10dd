"""What is read does not depend on how: by whom, prefetch depth and restarts, against plain indexing."""

import threading
import time
from functools import partial
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmetto.common.errors import PalmettoError
from palmetto.training.batches import Batches, read_ahead
from palmetto.training.schedules import BatchSize


class Labelled:
    """Record i of source s is [s, i]; remembers which were read."""

    def __init__(self, source: int, records: int, wait: threading.Event | None = None) -> None:
        self._source, self._records, self._wait = source, records, wait
        self.read: list[int] = []

    def __len__(self) -> int:
        return self._records

    def __getitem__(self, index: int) -> np.ndarray:
        if self._wait is not None:
            self._wait.wait(20)
        self.read.append(index)
        return np.array([self._source, index], np.uint16)


STEPS = 14
skips = st.lists(
    st.tuples(st.integers(0, 16), st.integers(0, 6)).map(lambda r: (r[0], r[0] + r[1])), max_size=3
)
schedules = st.sampled_from([BatchSize((8,)), BatchSize((8, 24, 16), (0, 5, 9)), BatchSize((16, 8), (0, 3))])


def run(schedule: BatchSize, seed: int, weights: tuple[int, ...], skipped: list[tuple[int, int]]) -> Batches:
    sources = [Labelled(source, 1500) for source in range(len(weights))]
    return Batches(sources, schedule, seed=seed, weights=weights, skipped=skipped)


@settings(max_examples=40, deadline=None)
@given(
    schedules,
    st.integers(0, 2**32 - 1),
    st.sampled_from([(1,), (3, 2), (5, 1, 1)]),
    skips,
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([0, 1, 2, 5]),
    st.integers(0, STEPS),
)
def test_readers_of_parts_depth_and_restarts_change_nothing(
    schedule: BatchSize,
    seed: int,
    weights: tuple[int, ...],
    skipped: list[tuple[int, int]],
    parts: int,
    depth: int,
    restart: int,
) -> None:
    """Oracle: each batch indexed whole. The rest: readers of a part each begin anew at `restart`, reading ahead."""
    whole = run(schedule, seed, weights, skipped)
    plain = [(step, whole.index(step), whole[whole.index(step)]) for step in range(STEPS)]
    for first, end in ((0, restart), (restart, STEPS)):
        readers = [
            read_ahead(batches, first, end, depth, partial(part_of, batches, part, parts))
            for part, batches in enumerate(run(schedule, seed, weights, skipped) for _ in range(parts))
        ]
        for (step, index, rows), read in zip(plain[first:end], zip(*readers, strict=True), strict=True):
            assert all(part[:2] == (step, index) for part in read)
            np.testing.assert_array_equal(np.concatenate([part[2] for part in read]), rows)


def part_of(batches: Batches, part: int, parts: int, index: int) -> np.ndarray:
    """One of so many equal parts of a batch."""
    each = batches.size(index) // parts
    return batches.rows(index, part * each, (part + 1) * each)


def test_a_reader_of_a_part_reads_its_own_records_alone() -> None:
    source = Labelled(0, 200)
    batches = Batches([source], BatchSize((8,)), seed=0)
    rows = batches.rows(3, 2, 4)
    assert source.read == rows[:, 1].tolist() == batches.record_ids(3)[2:4, 1].tolist()


def _wait_until_read(source: Labelled, records: int) -> None:
    until = time.monotonic() + 10
    while len(source.read) < records and time.monotonic() < until:
        time.sleep(0.01)


def test_reading_runs_ahead_by_the_depth_and_no_further() -> None:
    source = Labelled(0, 100)
    reader = read_ahead(Batches([source], BatchSize((1,)), seed=0), 0, 100, 4)
    next(reader)
    _wait_until_read(source, 5)
    time.sleep(0.05)
    assert len(source.read) == 5
    reader.close()


def test_closing_early_does_not_wait_for_a_read_that_hangs() -> None:
    wait = threading.Event()
    wait.set()
    source = Labelled(0, 100, wait)
    reader = read_ahead(Batches([source], BatchSize((1,)), seed=0), 0, 100, 4)
    next(reader)
    _wait_until_read(source, 5)
    wait.clear()
    next(reader)
    start = time.monotonic()
    reader.close()
    assert time.monotonic() - start < 5
    wait.set()


def test_threads_are_gone_after_reading_to_the_end_and_after_closing() -> None:
    batches = Batches([Labelled(0, 100)], BatchSize((4,)), seed=0)
    list(read_ahead(batches, 0, 25, 3))
    reader = read_ahead(batches, 0, 25, 3)
    list(islice(reader, 2))
    reader.close()
    until = time.monotonic() + 10
    while (alive := _readers()) and time.monotonic() < until:
        time.sleep(0.01)
    assert not alive


def _readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("grain-prefetch")]


@pytest.mark.parametrize("depth", [0, 3])
def test_an_error_of_a_batch_comes_at_its_step(depth: int) -> None:
    reader = read_ahead(Batches([Labelled(0, 10)], BatchSize((4,)), seed=0), 0, 9, depth)
    assert [step for step, _, _ in islice(reader, 2)] == [0, 1]
    with pytest.raises(PalmettoError, match="Batch 2 needs 12 records"):
        next(reader)


def test_a_run_that_is_done_reads_nothing() -> None:
    source = Labelled(0, 10)
    assert list(read_ahead(Batches([source], BatchSize((4,)), seed=0), 2, 2, 3)) == []
    assert source.read == []


def test_a_negative_depth_is_an_error() -> None:
    with pytest.raises(PalmettoError, match="depth of reading ahead is -1"):
        next(read_ahead(Batches([Labelled(0, 10)], BatchSize((4,)), seed=0), 0, 2, -1))
