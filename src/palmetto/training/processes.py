"""What the processes of one run do together: the first one writes, and none is left waiting for one that is gone.

Each runs the same program on devices of its own (`jax.distributed`) and sees the same files. Which process holds which
data the shardings say, never the process's number: under a proxy that drives all devices there is only number 0.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.stages import Lowered
from orbax.checkpoint import multihost

from palmetto.common.errors import PalmettoError

# What hangs longer than this is the watchdog's.
_PATIENCE_MS = 24 * 3600 * 1000
_LEAVE_SECONDS = 2.0
# In the words of an error: that it was another process's end, or the network, that made it.
_LOST = ("Gloo", "NCCL", "ncclRemoteError", "CoordinationService", "coordination service", "Barrier")
_numbers = count()


class LostError(PalmettoError):
    """Another process of the run failed or is gone, and this one cannot go on."""

    exit_code = 69


def several() -> bool:
    """Whether this process is one of several."""
    return jax.process_count() > 1


def in_gang() -> bool:
    """Whether this process is one of several, or what is left of them: somebody sees how it ends."""
    return several() or "PALMETTO_PROCESSES" in os.environ


def primary() -> bool:
    """Whether this process is the one that writes and speaks."""
    return jax.process_index() == 0


def barrier(name: str) -> None:
    """Wait until every process is here; all pass the same barriers in the same order.

    No device takes part, and it waits for as long as it takes.
    """
    if several():
        client = multihost.get_jax_distributed_client()
        client.wait_at_barrier(f"palmetto {next(_numbers)} {name}", _PATIENCE_MS)


def once(work: Callable[[], Any]) -> Any:
    """Let the primary alone do something, and return in every process what came of it: a JSON value.

    Raises:
        LostError: it failed, in the others; the primary raises the error itself.
    """
    if not several():
        return work()
    client, key = multihost.get_jax_distributed_client(), f"palmetto once {next(_numbers)}"
    if not primary():
        answer = json.loads(client.blocking_key_value_get(key, _PATIENCE_MS))
        if "error" in answer:
            raise LostError(f"Process 0 failed: {answer['error']}")
        return answer["value"]
    try:
        value = work()
    except Exception as error:
        client.key_value_set(key, json.dumps({"error": str(error)}))
        raise
    client.key_value_set(key, json.dumps({"value": value}))
    return value


def compile_together(lower: Callable[..., Lowered], *arguments: Any) -> None:
    """Of several processes, compile a program that all are about to run, and return when all have.

    JAX keeps what it compiled for the call that follows. On a CPU, JAX 0.10 fails where the members of a collective
    come more than 30 s apart, as they may with a compiler before it.
    """
    if several():
        lower(*arguments).compile()
        barrier("compiled")


def whole(array: jax.Array) -> np.ndarray:
    """Return an array on the host, also one whose parts are other processes'; all take part."""
    if array.is_fully_addressable or array.is_fully_replicated:
        return np.asarray(array)
    return np.asarray(multihost_utils.process_allgather(array, tiled=True))


@contextmanager
def together() -> Iterator[None]:
    """Do this process's part of the work; one that fails ends soon, whatever the others do.

    Raises:
        LostError: the error in the block came from another process's end.
    """
    try:
        yield
    except BaseException as error:
        if not several():
            raise
        lost = _made_by_others(error)
        code = LostError.exit_code if lost else _exit_code(error)
        # JAX's own end waits for all processes, and they may wait for this one in a collective.
        leave = threading.Timer(_LEAVE_SECONDS, os._exit, (code,))
        leave.daemon = True
        leave.start()
        if lost:
            raise LostError(
                f"Another process of this run has ended, so this one does too ({error}). The same command goes on from "
                "the newest checkpoint."
            ) from error
        raise


def _exit_code(error: BaseException) -> int:
    if isinstance(error, PalmettoError):
        return error.exit_code
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def _made_by_others(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ValueError | RuntimeError) and any(word in str(error) for word in _LOST):
            return True
        error = error.__cause__
    return False
