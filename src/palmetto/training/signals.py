"""Answers a request to stop: SIGTERM, as a cluster sends before it takes the machine away."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from palmetto.common.errors import PalmettoError


class StoppedError(PalmettoError):
    """The run was asked to stop, saved, and can go on; schedulers may start it again."""

    exit_code = 75


class Termination:
    """While it is entered, SIGTERM only sets `requested`; the loop saves at the next step and ends.

    In a thread other than the main one, where Python takes no signals, it does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: Any = None

    def __enter__(self) -> "Termination":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
