"""Reports a stuck step: a thread that looks at the clock while the training thread may be waiting for ever."""

import faulthandler
import os
import threading
import time
from pathlib import Path
from types import TracebackType

from palmetto.common.progress import Reporter

STUCK = 70
"""How a process of several ends that is stuck."""


class Watchdog:
    """Says once for each piece of work that takes too long what it is, and writes every thread's stack to a file."""

    def __init__(
        self, limit: float, stacks: Path, reporter: Reporter, name: str, *, ends: bool = False
    ) -> None:
        """Watch for work over `limit` seconds.

        Args:
            limit: in seconds.
            stacks: the file that stacks are appended to.
            reporter: prints.
            name: the model's.
            ends: whether to end the process too, as of several processes each does: what it waits for never comes.
        """
        self._limit, self._stacks, self._reporter, self._name = limit, stacks, reporter, name
        self._ends = ends
        self._work, self._since, self._told = "starting", time.monotonic(), False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> "Watchdog":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def beat(self, work: str) -> None:
        """Say what is begun now, such as `step 51`; what was begun before is done."""
        if self._told:
            self._reporter.say(
                f"{self._name}: {self._work} ended after {time.monotonic() - self._since:.0f} s."
            )
        self._work, self._since, self._told = work, time.monotonic(), False

    def _watch(self) -> None:
        while not self._ended.wait(min(1.0, self._limit / 4)):
            waited = time.monotonic() - self._since
            if waited > self._limit and not self._told:
                self._told = True
                with self._stacks.open("a") as stream:
                    stream.write(f"{self._name}: {self._work} has taken {waited:.0f} s\n")
                    stream.flush()
                    faulthandler.dump_traceback(stream, all_threads=True)
                self._reporter.say(
                    f"{self._name}: {self._work} has taken {waited:.0f} s, more than training.stuck_after_seconds "
                    f"({self._limit:g}); it may be stuck. What every thread is doing is in {self._stacks}."
                )
                if self._ends:
                    os._exit(STUCK)
