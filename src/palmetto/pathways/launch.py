"""Starts the processes of one run on this machine, watches over them, and starts them again when one is lost.

The members are a gang: their steps are collectives, so that one that is gone or stopped stops all. The rest is then
ended, and the gang goes on from the newest checkpoint, which any number of processes can read. A batch is a function
of its index, so that fewer read the same ones.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palmetto.common.errors import PalmettoError
from palmetto.pathways.heartbeat import PLACE, STARTER
from palmetto.training.environment import usable_cores
from palmetto.training.processes import LostError
from palmetto.training.signals import StoppedError
from palmetto.training.watchdog import STUCK

_POLL_SECONDS = 0.05
# So long after a first process has ended, it shows which others ended by themselves, and why.
_SETTLE_SECONDS = 1.0
_TAIL_LINES = 15
_PROGRAM = (sys.executable, "-m", "palmetto.cli")
# How a process ends that only follows another one's end: our own two ways, and JAX's, which aborts.
_FOLLOWS = (LostError.exit_code, STUCK, -signal.SIGABRT)
_TO_MEND = (2, 3, 4)
_WELL = (0, StoppedError.exit_code)


@dataclass(frozen=True)
class LaunchConfig:
    """How many processes, and when they are given up and started again."""

    processes: int = 2
    """Processes to start, each with one device: a GPU of its own, or its share of the cores."""

    heartbeat_seconds: float = 30.0
    """A process that gives no sign of life for so long (it gives one a second) counts as lost."""

    restarts: int = 3
    """How often the run may be started again after a loss."""

    same_number: bool = False
    """Start as many again after a loss, for the same bits; otherwise as many as are left and divide the batch."""

    port: int = 0
    """Port on which the first process awaits the others; 0 takes a free one."""

    def __post_init__(self) -> None:
        if self.processes < 1 or self.restarts < 0 or self.heartbeat_seconds < 3:
            raise PalmettoError(
                f"--processes {self.processes} --restarts {self.restarts} --heartbeat-seconds "
                f"{self.heartbeat_seconds:g}: they must be at least 1, 0 and 3."
            )


class GangLostError(PalmettoError):
    """Processes were lost, and the run is not started again; it can go on by the same command."""

    exit_code = 1


def supervise(
    words: Sequence[str],
    out: Path,
    config: LaunchConfig,
    check: Callable[[int], None],
    say: Callable[[str], None],
) -> None:
    """Run a `train` command in several processes to its end.

    Args:
        words: the command and what follows it.
        out: the model's folder; gets `launches.jsonl`, and `processes/` with what all but the first process print.
        config: how many, and what to do about losses.
        check: raises a `PalmettoError` for a number of processes over which the run cannot be divided.
        say: prints a line.

    Raises:
        PalmettoError: the number or the port cannot be had.
        StoppedError: SIGTERM came; it was handed on, and the run is saved.
        GangLostError: more losses than restarts, or too few processes left.
        SystemExit: a process found something to mend; it has said what.
    """
    check(config.processes)
    (out / "processes").mkdir(parents=True, exist_ok=True)
    number = config.processes
    for start in range(config.restarts + 1):
        if start:
            say(f"Going on from the newest checkpoint with {number} process(es), start {start + 1}.")
        ending = _run_gang(words, out, config, number, start)
        for sentence in ending.sentences:
            say(sentence)
        _note(out, "ended", start=start, code=ending.code, lost=ending.lost, why=ending.sentences)
        if ending.code == 0:
            return
        if ending.code == StoppedError.exit_code:
            raise StoppedError("Stopped by SIGTERM; run the same command to go on.")
        if ending.code in _TO_MEND:
            raise SystemExit(ending.code)
        if not config.same_number:
            number = _largest(number - ending.lost, check)
    raise GangLostError(
        f"The run was started {config.restarts + 1} time(s) and lost processes each time (--restarts); "
        f"{out / 'launches.jsonl'} tells of each. The same command goes on from the newest checkpoint."
    )


def _largest(left: int, check: Callable[[int], None]) -> int:
    """Return the most processes, of those left, over which the run can be divided."""
    why = "none is left"
    for number in range(left, 0, -1):
        try:
            check(number)
        except PalmettoError as error:
            why = str(error)
        else:
            return number
    raise GangLostError(
        f"No smaller number of processes can go on ({why}); start enough, or use --same-number."
    )


def _note(out: Path, event: str, **facts: Any) -> None:
    with (out / "launches.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"event": event, **facts, "timing": {"at": time.time()}}) + "\n")


@dataclass
class _Member:
    """One process of the gang."""

    number: int
    process: subprocess.Popen[bytes]
    sign: Path
    log: Path
    seen: int = 0
    since: float = field(default_factory=time.monotonic)

    def silent_seconds(self) -> float:
        """Return how long it has given no sign, by a clock that stands still while the machine sleeps."""
        sign, now = self.sign.stat().st_mtime_ns, time.monotonic()
        if sign != self.seen:
            self.seen, self.since = sign, now
        return now - self.since

    def describe(self, what: str) -> str:
        """Return what became of it, with the end of what it printed where nobody saw that."""
        sentence = f"Process {self.number} (pid {self.process.pid}) {what}."
        if self.number == 0:
            return sentence
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join([f"{sentence} The end of {self.log}:", *(f"  | {line}" for line in lines)])


@dataclass(frozen=True)
class _Ending:
    """How a gang ended."""

    code: int
    lost: int = 0
    sentences: Sequence[str] = ()


def _run_gang(words: Sequence[str], out: Path, config: LaunchConfig, number: int, start: int) -> _Ending:
    """Start the processes, wait for their end or a loss, and end what is left of them."""
    members: list[_Member] = []
    told = False

    def hand_on(*_: Any) -> None:
        nonlocal told
        told = True
        for member in members:
            member.process.terminate()

    before = signal.signal(signal.SIGTERM, hand_on)
    try:
        address = f"127.0.0.1:{_free_port(config.port)}"
        shared = {
            "JAX_NUM_CPU_DEVICES": "1",
            "NPROC": str(max(1, usable_cores() // number)),
            **os.environ,
            "JAX_COORDINATOR_ADDRESS": address,
            "JAX_COORDINATOR_BIND_ADDRESS": address,
            "PALMETTO_PROCESSES": str(number),
            STARTER: str(os.getpid()),
        }
        for each in range(number):
            members.append(_begin(each, words, out / "processes", shared, start))
        pids = [member.process.pid for member in members]
        _note(out, "started", start=start, processes=number, address=address, pids=pids)
        if told:  # while they were being started
            hand_on()
        ending = _watch(members, config.heartbeat_seconds)
        return _Ending(StoppedError.exit_code) if told and ending.code else ending
    finally:
        for member in members:
            if member.process.poll() is None:
                # One that waits for a process that is gone would not hear anything gentler.
                os.killpg(member.process.pid, signal.SIGKILL)
            member.process.wait()
        signal.signal(signal.SIGTERM, before)


def _begin(number: int, words: Sequence[str], folder: Path, shared: dict[str, str], start: int) -> _Member:
    # What the first one prints is the user's to see, and in no file.
    sign, log = folder / f"{number}.alive", folder / f"{number}.log" if number else Path(os.devnull)
    sign.touch()
    with log.open("ab") as stream:
        stream.write(f"--- process {number}, start {start + 1}\n".encode())
        stream.flush()
        process = subprocess.Popen(
            [*_PROGRAM, *words],
            env={**shared, "PALMETTO_PROCESS": str(number), PLACE: str(sign.resolve())},
            stdin=subprocess.DEVNULL,
            stdout=stream if number else None,
            stderr=stream if number else None,
            # In a session of its own: a Ctrl-C on the terminal is the launcher's to answer.
            start_new_session=True,
        )
    return _Member(number, process, sign, log)


def _watch(members: Sequence[_Member], limit: float) -> _Ending:
    """Wait for the end of the gang or a loss, and tell those that were lost from those that only followed them."""
    while True:
        codes = [member.process.poll() for member in members]
        if all(code in _WELL for code in codes):
            return _Ending(max(filter(None, codes), default=0))
        silent = [
            each
            for each, code in zip(members, codes, strict=True)
            if code is None and each.silent_seconds() > limit
        ]
        if silent or any(code not in (None, *_WELL) for code in codes):
            break
        time.sleep(_POLL_SECONDS)
    if not silent:
        time.sleep(_SETTLE_SECONDS)
    ended = [(each, code) for each in members if (code := each.process.poll()) and code not in _WELL]
    lost = [each.describe(f"gave no sign of life for {limit:g} s") for each in silent] + [
        each.describe(f"was killed by {signal.Signals(-code).name}")
        for each, code in ended
        if code < 0 and code not in _FOLLOWS
    ]
    if lost:
        return _Ending(GangLostError.exit_code, len(lost), lost)
    for each, code in ended:
        if code in _TO_MEND:
            return _Ending(code, 0, [each.describe(f"ended with exit code {code}")])
    failed = [(each, code) for each, code in ended if code not in _FOLLOWS]
    words = []
    for each, code in failed or ended:  # where all only followed, nobody knows whom
        words.append(each.describe("was stuck" if code == STUCK else f"ended with exit code {code}"))
    return _Ending(GangLostError.exit_code, len(failed), words)


def _free_port(asked: int) -> int:
    """Return the port asked for, or for 0 one that is free.

    Raises:
        PalmettoError: it is in use.
    """
    try:
        with socket.create_server(("127.0.0.1", asked)) as server:
            return int(server.getsockname()[1])
    except OSError as error:
        raise PalmettoError(
            f"--port {asked} cannot be used ({error.strerror}); name another, or none."
        ) from None
