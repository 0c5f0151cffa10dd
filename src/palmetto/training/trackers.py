"""Where metrics go. `metrics.jsonl` is the truth, one row a step; TensorBoard events are written beside it."""

import json
from pathlib import Path
from typing import Any, Protocol

from palmetto.common.errors import PalmettoError


class Tracker(Protocol):
    """Receives one row a step. Others, such as W&B, fit behind these four methods."""

    def begin(self, step: int) -> None:
        """Forget rows after `step`: training goes on from there."""

    def log(self, row: dict[str, Any]) -> None:
        """Take the row of one step; nested values are groups."""

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""

    def close(self) -> None:
        """End the log."""


class JsonLines:
    """`metrics.jsonl`: exactly one row a step, also after a crash in the middle of a row."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, step: int) -> None:
        """Cut the file after the row of `step`.

        Raises:
            PalmettoError: the rows before it are not all there.
        """
        kept = self._path.read_bytes().splitlines(keepends=True)[:step] if self._path.exists() else []
        if len(kept) != step or (kept and json.loads(kept[-1])["step"] != step):
            raise PalmettoError(
                f"{self._path} lacks rows before step {step}, where training would go on; restore the file, or "
                "train again with --redo."
            )
        with self._path.open("ab") as stream:
            stream.truncate(sum(map(len, kept)))
        self._stream = self._path.open("a", encoding="utf-8")

    def log(self, row: dict[str, Any]) -> None:
        """Append the row."""
        self._stream.write(json.dumps(row) + "\n")
        self._stream.flush()

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


class TensorBoard:
    """TensorBoard events under `tensorboard/`; steps that are trained again replace what was logged of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, step: int) -> None:
        """Open a new event file that overrides events after `step`."""
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(self._folder), purge_step=step + 1 if step else None)

    def log(self, row: dict[str, Any]) -> None:
        """Write every number of the row as a scalar; groups become prefixes."""
        for name, value in row.items():
            if isinstance(value, dict):
                for part, number in value.items():
                    self._writer.add_scalar(f"{name}/{part}", number, row["step"])
            elif name != "step":
                self._writer.add_scalar(name, value, row["step"])

    def flush(self) -> None:
        """Write buffered events."""
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()
