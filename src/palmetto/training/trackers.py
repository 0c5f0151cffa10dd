"""Where metrics go. `metrics.jsonl` is the truth, one row a step; TensorBoard events are written beside it."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from palmetto.common.errors import PalmettoError
from palmetto.common.files import finite

# TensorBoard looks every few seconds; writing out at every step would cost more than the rest of the log.
_FLUSH_SECONDS = 2.0


@runtime_checkable
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
        lines = self._path.read_bytes().splitlines(keepends=True) if self._path.exists() else []
        kept = [line for line in lines if line.endswith(b"\n")][:step]
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
        self._stream.write(json.dumps(finite(row)) + "\n")
        self._stream.flush()

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


class TensorBoard:
    """TensorBoard events under `tensorboard/`; steps that are trained again replace what was logged of them.

    Events are written by the calling thread: tensorboardX's queue would block training for good once its own thread
    had met a full disk.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._flushed = folder, 0.0

    def begin(self, step: int) -> None:
        """Open a new event file that overrides events after `step`."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._folder.mkdir(parents=True, exist_ok=True)
        earlier = any(self._folder.iterdir())
        # Files are named by the second; two starts within one must not meet.
        self._writer = EventsWriter(str(self._folder / "events"), f".{os.getpid()}")
        if step or earlier:
            log = SessionLog(status=SessionLog.START)
            self._writer.write_event(Event(wall_time=time.time(), step=step + 1, session_log=log))

    def log(self, row: dict[str, Any]) -> None:
        """Write every number of the row as a scalar, in one event; groups become prefixes."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        values = []
        for name, value in row.items():
            if name == "step":
                continue
            parts = value.items() if isinstance(value, dict) else [("", value)]
            for part, number in parts:
                if isinstance(number, int | float):
                    tag = f"{name}/{part}" if part else name
                    values.append(Summary.Value(tag=tag, simple_value=number))
        now = time.time()
        self._writer.write_event(Event(wall_time=now, step=row["step"], summary=Summary(value=values)))
        if now - self._flushed > _FLUSH_SECONDS:
            self.flush()
            self._flushed = now

    def flush(self) -> None:
        """Write buffered events."""
        self._writer.flush()

    def close(self) -> None:
        """Close the event file.

        A full disk is met by whatever writes next, which says so; here it would only hide that error.
        """
        with suppress(OSError):
            self._writer.close()
