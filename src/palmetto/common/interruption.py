"""Makes Ctrl-C end a command as Ctrl-C, whatever a library makes of the interruption."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interruption:
    """While it is entered, an error that follows a Ctrl-C leaves as `KeyboardInterrupt`.

    Python raises the interruption wherever the program happens to be. Inside a library's import, or its clean-up, it
    may come out as another error: an `ImportError` that could not be made, say. In a thread other than the main one,
    where Python takes no signals, this does nothing.
    """

    def __init__(self) -> None:
        self._seen = False
        self._before: Any = None

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if self._seen and isinstance(error, Exception):
            raise KeyboardInterrupt from error

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._seen = True
        raise KeyboardInterrupt
