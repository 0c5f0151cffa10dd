"""What processes do together, as far as one process shows it; several are in `tests/pathways` and the drills."""

import os

import jax
import numpy as np
import pytest

from palmetto.common.errors import PalmettoError
from palmetto.sharding import MeshConfig, batch_sharding, make_mesh
from palmetto.training import processes
from palmetto.training.batches import Batches
from palmetto.training.engine import held_rows
from palmetto.training.processes import LostError, barrier, in_gang, once, primary, several, together, whole
from palmetto.training.schedules import BatchSize


class Numbered:
    def __len__(self) -> int:
        return 100

    def __getitem__(self, index: int) -> np.ndarray:
        return np.array([index, index + 1], np.uint16)


def test_one_process_is_primary_and_waits_for_nobody() -> None:
    barrier("nobody else")
    assert (several(), primary(), in_gang()) == (False, True, False)
    assert once(lambda: {"of": 1}) == {"of": 1}


def test_what_is_left_of_a_gang_is_still_watched_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PALMETTO_PROCESSES", "1")
    assert in_gang()


def test_an_error_of_one_process_stays_what_it_is() -> None:
    with pytest.raises(PalmettoError, match="mend me"), together():
        once(lambda: (_ for _ in ()).throw(PalmettoError("mend me")))


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (ValueError("UNKNOWN: Gloo all-reduce failed: Connection closed by peer [127.0.0.1]:36013"), True),
        (RuntimeError("INTERNAL: Barrier failed because: task is set to ERROR"), True),
        (ValueError("a shape does not fit"), False),
        (OSError("Gloo"), False),
    ],
)
def test_an_error_that_another_process_made_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, error: Exception, lost: bool
) -> None:
    """Also where it was made into another one on its way."""
    left = []
    monkeypatch.setattr(processes, "several", lambda: True)
    monkeypatch.setattr(processes, "_LEAVE_SECONDS", 0.0)
    monkeypatch.setattr(os, "_exit", left.append)
    with pytest.raises(LostError if lost else PalmettoError, match="ended" if lost else "saving"), together():
        raise PalmettoError("saving failed") from error
    while not left:
        pass
    assert left == [LostError.exit_code if lost else 2]


def test_rows_placed_by_shards_are_the_batch() -> None:
    """Oracle: the batch indexed whole."""
    batches = Batches([Numbered()], BatchSize((4, 8), (0, 2)), seed=3)
    mesh = make_mesh(MeshConfig(data=1), jax.devices()[:1])
    for index in range(4):
        held = held_rows(batches, index, batch_sharding(mesh))
        assert held.sharding == batch_sharding(mesh)
        np.testing.assert_array_equal(whole(held), batches[index])
