"""The progress display: what is running, how far it is, how fast, and how long still.

On a terminal it is rich's live bars. Where the output is a file or a pipe a plain line comes every few
seconds instead, so a log stays readable.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@runtime_checkable
class Bar(Protocol):
    """One piece of work under way."""

    def advance(self, amount: float | int = 1) -> None:
        """Say that `amount` more units are done."""

    def note(self, text: str) -> None:
        """Show a short live figure beside the bar, such as the loss."""


@runtime_checkable
class Reporter(Protocol):
    """Where long work says how far it is."""

    def bar(self, description: str, total: float | int | None, unit: str) -> AbstractContextManager[Bar]:
        """Open a bar of `total` units (None when unknown) for the `with` block's length."""

    def say(self, text: str) -> None:
        """Print one line that stays."""


class _SilentBar:
    def advance(self, amount: float | int = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class Silent:
    """A reporter that shows nothing: for library use and tests."""

    @contextmanager
    def bar(self, description: str, total: float | int | None, unit: str) -> Iterator[Bar]:
        """Yield a bar that shows nothing."""
        yield _SilentBar()

    def say(self, text: str) -> None:
        """Print nothing."""


class _RichBar:
    def __init__(self, progress: Progress, task: int, unit: str) -> None:
        self._progress, self._task, self._unit = progress, task, unit

    def advance(self, amount: float | int = 1) -> None:
        self._progress.advance(self._task, amount)  # type: ignore[arg-type]
        task = self._progress.tasks[self._progress.task_ids.index(self._task)]  # type: ignore[arg-type]
        speed = task.finished_speed or task.speed
        if speed is not None:
            self._progress.update(self._task, rate=f"{_short(speed)} {self._unit}/s")  # type: ignore[arg-type]

    def note(self, text: str) -> None:
        self._progress.update(self._task, note=text)  # type: ignore[arg-type]


class _PlainBar:
    """A line every `every` seconds, and one when the work ends."""

    def __init__(
        self, console: Console, description: str, total: float | int | None, unit: str, every: float
    ) -> None:
        self._console, self._description, self._total, self._unit, self._every = (
            console,
            description,
            total,
            unit,
            every,
        )
        self._done, self._note, self._start = 0.0, "", time.monotonic()
        self._last = self._start

    def advance(self, amount: float | int = 1) -> None:
        self._done += amount
        if time.monotonic() - self._last >= self._every:
            self.show()

    def note(self, text: str) -> None:
        self._note = text

    def show(self) -> None:
        now = time.monotonic()
        self._last, elapsed = now, now - self._start
        speed = self._done / elapsed if elapsed > 0 else 0.0
        line = f"  {self._description}: {_short(self._done)}"
        if self._total:
            line += f"/{_short(self._total)}"
        line += f" {self._unit}, {_short(speed)} {self._unit}/s, {elapsed:.0f} s"
        if self._total and speed > 0 and self._done < self._total:
            line += f", {(self._total - self._done) / speed:.0f} s left"
        self._console.print(
            line + (f"  {self._note}" if self._note else ""), highlight=False, markup=False, soft_wrap=True
        )


class Terminal:
    """The reporter of the command line."""

    def __init__(self, console: Console | None = None, *, plain_every: float = 10.0) -> None:
        self.console = console or Console(stderr=True)
        self._plain_every = plain_every

    @contextmanager
    def bar(self, description: str, total: float | int | None, unit: str) -> Iterator[Bar]:
        """Show one bar while the block runs."""
        if not self.console.is_terminal:
            plain = _PlainBar(self.console, description, total, unit, self._plain_every)
            yield plain
            plain.show()
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn() if total else MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(description, total=total, rate="", note="")
            yield _RichBar(progress, task, unit)

    def say(self, text: str) -> None:
        """Print one line above whatever bars are open."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def _short(value: float) -> str:
    """Return a number with at most four figures: 950, 12.3k, 4.1M."""
    for limit, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            scale = {"T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3}[suffix]
            return f"{value / scale:.1f}{suffix}"
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"
