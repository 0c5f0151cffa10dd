"""The remedy for a loss spike (paper, section 5.1): go back, leave out the batches around it, and keep a record.

`skipped_batches.json` is the record, one entry a rewind; it alone decides which batches a run leaves out, so a run
that was killed at any moment of a rewind goes on as one that was not.

A spike that follows so soon on a rewind that its target would lie before that rewind's own goes back to the same
checkpoint again: older ones need not be kept any more, and without one the run would begin anew.
"""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from palmetto.common.errors import PalmettoError
from palmetto.common.files import finite, read_json, read_json_lines, write_json, write_json_lines
from palmetto.training.batches import Batches
from palmetto.training.config import TrainingConfig
from palmetto.training.spikes import Spike

_FILE = "skipped_batches.json"


class Rewinds:
    """The rewinds of one run so far."""

    def __init__(self, out: Path) -> None:
        """Read the record of the run in folder `out`; without one there were none."""
        self._path = out / _FILE
        self.entries: list[dict[str, Any]] = read_json(self._path) if self._path.exists() else []

    def ranges(self) -> list[tuple[int, int]]:
        """Return the ranges [first, end) of batch indices that are left out."""
        return [(entry["first_batch"], entry["end_batch"]) for entry in self.entries]

    def before(self, step: int) -> dict[str, int] | None:
        """Return the range left out right before update number `step`, for its row of `metrics.jsonl`, if there is one.

        A later rewind to an earlier update makes the updates in between anew, and some of them without a gap.
        """
        for number, entry in reversed(list(enumerate(self.entries, start=1))):
            if entry["to_step"] == step - 1:
                return {
                    "rewind": number,
                    "first_batch": entry["first_batch"],
                    "end_batch": entry["end_batch"],
                }
            if entry["to_step"] < step - 1:
                return None
        return None

    def abandoned(self, step: int, rewinds: int) -> bool:
        """Whether a checkpoint of `step`, saved after so many `rewinds`, lies on a way that was given up."""
        return any(entry["to_step"] < step for entry in self.entries[rewinds:])

    def add(self, spike: Spike, batches: Batches, config: TrainingConfig, name: str) -> dict[str, Any]:
        """Record the rewind that answers `spike` and return its entry.

        `batches` are those of the way that led to it. The range begins where the checkpoint's next update would have
        read and holds `skip` batches that were not left out before.

        Raises:
            PalmettoError: there were as many rewinds as the recipe allows.
        """
        remedy = config.spikes
        if len(self.entries) >= remedy.max_rewinds:
            raise PalmettoError(
                f"{name}: step {spike.first_step} begins loss spike number {len(self.entries) + 1} "
                f"({describe_spike(spike)}), and training.spikes.max_rewinds allows {remedy.max_rewinds}; earlier "
                "checkpoints are intact. Train again in another folder with a lower "
                "training.optimizer.learning_rate.peak, or with more max_rewinds."
            )
        # Not by `first_step`: the last steps before a rewind's checkpoint may have been high already.
        earlier = [entry["to_step"] for entry in self.entries if entry["to_step"] < spike.seen_step]
        to_step = max([config.rewind_target(spike.first_step), *earlier])
        entry = {
            "first_batch": batches.index(to_step),
            "end_batch": batches.index(to_step + remedy.skip),
            "to_step": to_step,
            "spike": {
                **asdict(spike),
                "first_batch": batches.index(spike.first_step - 1),
                "seen_batch": batches.index(spike.seen_step - 1),
            },
        }
        # First the steps that are given up, then the entry: killed in between, the run comes to the same spike again.
        rows = [row for row in read_json_lines(self._path.parent / "metrics.jsonl") if row["step"] > to_step]
        write_json_lines(self._path.parent / "rewound" / f"{len(self.entries) + 1}.jsonl", rows)
        self.entries.append(finite(entry))
        write_json(self._path, self.entries)
        return self.entries[-1]

    def begin(self) -> None:
        """Write the record of a run that has not rewound yet, so that its absence never means anything."""
        if not self._path.exists():
            write_json(self._path, self.entries)


def describe_spike(spike: Spike) -> str:
    """Return a spike in words."""
    what = "loss" if spike.signal == "loss" else "gradient norm"
    if not math.isfinite(spike.value):
        return f"{what} {spike.value}"
    return (
        f"{what} {spike.value:.4g} where the steps before it had {spike.median:.4g}, {spike.deviations:.1f} robust "
        "deviations lower"
    )
