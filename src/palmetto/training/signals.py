"""Answers a request to stop: SIGTERM, as a cluster sends before it takes the machine away.

Of several processes all stop at the same step: JAX takes the signal itself, in whichever process it comes, and makes
out a step that none of them has passed.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from jax.experimental import multihost_utils

from palmetto.common.errors import PalmettoError
from palmetto.training.processes import several


class StoppedError(PalmettoError):
    """The run was asked to stop, saved, and can go on; schedulers may start it again."""

    exit_code = 75


class Termination:
    """While it is entered, SIGTERM only makes `reached` true; the loop saves at that step and ends.

    In a thread other than the main one, where Python takes no signals, it does nothing.
    """

    def __init__(self) -> None:
        self._requested = False
        self._asked = 0
        self._before: Any = None

    def reached(self) -> bool:
        """Whether to stop; asked once a step. Of several processes, all are answered alike."""
        self._asked += 1
        if several():
            # By questions, not by steps: a rewind counts steps back.
            return multihost_utils.reached_preemption_sync_point(self._asked)
        return self._requested

    def __enter__(self) -> "Termination":
        if not several() and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self._requested = True
