"""The checkpoint that a rewind wants is there, whatever spikes came before: real record and real retention on folders
that hold a manifest alone, without training."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmetto.common.files import hash_json, write_json
from palmetto.training.batches import Batches
from palmetto.training.checkpoints import Checkpoints
from palmetto.training.config import TrainingConfig
from palmetto.training.rewinds import Rewinds
from palmetto.training.schedules import BatchSize
from palmetto.training.spikes import Spike, SpikeConfig

RECORDS = [np.zeros((400, 3), np.uint16)]


class Kept(Checkpoints):
    """Checkpoints of nothing."""

    def __init__(self, folder: Path, training: TrainingConfig) -> None:
        self._folder, self._keep = folder, training.keep_checkpoints
        self._every, self._reach = training.checkpoint_every, training.rewind_reach()
        self._pending = None

    def note(self, step: int, rewinds: int) -> None:
        (self._folder / f"{step:08d}").mkdir(parents=True, exist_ok=True)
        manifest = {"step": step, "rewinds": rewinds, "files": {}}
        path = self._folder / f"{step:08d}" / "manifest.json"
        write_json(path, {**manifest, "sha256": hash_json(manifest)})
        for old in sorted(set(self.steps()) - self._kept()):
            self._remove(old)


@settings(max_examples=30, deadline=None)
@given(
    every=st.integers(1, 12),
    rewind=st.integers(0, 30),
    patience=st.integers(1, 4),
    keep=st.integers(1, 3),
    spikes=st.lists(st.tuples(st.integers(-3, 60), st.integers(0, 3), st.booleans()), max_size=5),
)
def test_the_checkpoint_a_rewind_wants_is_always_there(
    tmp_path_factory: pytest.TempPathFactory,
    every: int,
    rewind: int,
    patience: int,
    keep: int,
    spikes: list[tuple[int, int, bool]],
) -> None:
    """Each spike begins some steps after the last rewind's checkpoint, or with its last steps before it, and is seen
    some steps later; before some of them the run was stopped and saved off the schedule."""
    remedy = SpikeConfig(rewind=rewind, patience=patience, skip=rewind + every + patience)
    training = TrainingConfig(
        steps=1000,
        batch_size=BatchSize((1,)),
        checkpoint_every=every,
        keep_checkpoints=keep,
        spikes=remedy,
    )
    out = tmp_path_factory.mktemp("kept")
    (out / "metrics.jsonl").touch()
    record, kept, done = Rewinds(out), Kept(out / "checkpoints", training), 0
    for gap, delay, stopped in spikes:
        first = max(1, done + gap, done + 2 - patience)
        seen = max(done + 1, first + min(delay, patience - 1))
        for step in range(done + 1, seen):
            if step % every == 0 or (stopped and step == seen - 1):
                kept.note(step, len(record.entries))
        spike = Spike(first, seen, "loss", 9.0, 1.0, 8.0)
        batches = Batches(RECORDS, BatchSize((1,)), seed=0, skipped=record.ranges())
        entry = record.add(spike, batches, training, "m")
        kept.drop(record.abandoned)
        assert done <= entry["to_step"] <= max(done, first - 1 - rewind)
        assert entry["to_step"] in (0, *kept.steps())
        assert max(kept.steps(), default=0) == entry["to_step"]
        again = Batches(RECORDS, BatchSize((1,)), seed=0, skipped=record.ranges())
        assert again.index(entry["to_step"]) == entry["end_batch"]
        # What the spike was seen on is not read again, and of new batches exactly `skip` are left out.
        wanted = {batches.index(step) for step in range(max(done, first - 1), seen)}
        assert wanted <= set(range(entry["first_batch"], entry["end_batch"]))
        assert sum(end - begin for begin, end in record.ranges()) == remedy.skip * len(record.entries)
        done = entry["to_step"]
