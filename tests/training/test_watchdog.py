"""The watchdog and SIGTERM, on real threads and signals."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from palmetto.common.progress import Silent
from palmetto.training.signals import StoppedError, Termination
from palmetto.training.watchdog import STUCK, Watchdog


class Said(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def stuck_in_this_function(watchdog: Watchdog, reporter: Said) -> None:
    watchdog.beat("step 7")
    deadline = time.monotonic() + 20
    while not reporter.lines and time.monotonic() < deadline:
        time.sleep(0.01)


def test_work_that_takes_too_long_is_said_once_with_the_stacks(tmp_path: Path) -> None:
    reporter = Said()
    with Watchdog(0.05, tmp_path / "stuck.txt", reporter, "tiny") as watchdog:
        stuck_in_this_function(watchdog, reporter)
        time.sleep(0.2)
        assert len(reporter.lines) == 1
        assert "tiny: step 7 has taken" in reporter.lines[0]
        assert str(tmp_path / "stuck.txt") in reporter.lines[0]
        watchdog.beat("step 8")
        assert "step 7 ended after" in reporter.lines[1]
    assert "stuck_in_this_function" in (tmp_path / "stuck.txt").read_text()


def test_work_in_time_is_not_reported(tmp_path: Path) -> None:
    reporter = Said()
    with Watchdog(5.0, tmp_path / "stuck.txt", reporter, "tiny") as watchdog:
        for step in range(20):
            watchdog.beat(f"step {step}")
            time.sleep(0.01)
    assert reporter.lines == []
    assert not (tmp_path / "stuck.txt").exists()


def test_sigterm_only_sets_a_flag_while_it_is_awaited() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Termination() as termination:
        assert not termination.reached()
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + 5
        while not termination.reached() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert termination.reached()
    assert signal.getsignal(signal.SIGTERM) is before


def test_in_another_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def enter() -> None:
        with Termination() as termination:
            assert not termination.reached()

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before


def test_being_stopped_has_an_exit_code_of_its_own() -> None:
    assert StoppedError("x").exit_code == 75


def test_of_several_processes_one_that_is_stuck_ends(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from palmetto.common.progress import Terminal; "
        "from palmetto.training.watchdog import Watchdog\n"
        "with Watchdog(0.2, Path(sys.argv[1]), Terminal(), 'tiny', ends=True): time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "stuck.txt")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == STUCK
    assert "it may be stuck" in done.stderr
    assert "Thread 0x" in (tmp_path / "stuck.txt").read_text()
