"""Signs of life: each process of a gang touches a file every second, and ends when who started it is gone."""

import os
import threading
import time
from pathlib import Path

PLACE, STARTER = "PALMETTO_HEARTBEAT", "PALMETTO_LAUNCHER"
"""Variables that `palmetto launch` gives its processes: the file to touch, and the number of its own process."""
_EVERY_SECONDS = 1.0
_ORPHANED = 1


def give_signs() -> None:
    """Begin, where `palmetto launch` started this process; a process that is stopped (SIGSTOP) gives none."""
    if PLACE in os.environ:
        arguments = (Path(os.environ[PLACE]), int(os.environ[STARTER]))
        threading.Thread(target=_beat, args=arguments, name="heartbeat", daemon=True).start()


def _beat(place: Path, starter: int) -> None:
    while os.getppid() == starter:
        place.touch()
        time.sleep(_EVERY_SECONDS)
    os._exit(_ORPHANED)
