"""The progress display says what runs, how far it is, how fast, and how long still."""

import re
from io import StringIO

import pytest
from rich.console import Console

from palmetto.common.progress import Bar, Reporter, Silent, Terminal


class Clock:
    """A clock that moves only when told."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("palmetto.common.progress.time", clock)
    return clock


def test_a_log_gets_lines_with_what_how_far_how_fast_and_how_long_still(clock: Clock) -> None:
    out = StringIO()
    with Terminal(Console(file=out, width=40), plain_every=10).bar("train palm_5m", 200, "steps") as bar:
        bar.note("loss [3.21]")
        clock.now += 9
        bar.advance(1)
        clock.now += 11
        bar.advance(49)
        clock.now += 60
        bar.advance(150)
    lines = out.getvalue().splitlines()
    half, end = lines[0], lines[-1]
    # Oracle by hand: 50 steps in 20 s are 2.5 a second, so the other 150 take 60 s.
    assert half.strip() == "train palm_5m: 50/200 steps, 2.5 steps/s, 20 s, 60 s left  loss [3.21]"
    assert end.strip() == "train palm_5m: 200/200 steps, 2.5 steps/s, 80 s  loss [3.21]"


def test_a_log_is_not_flooded(clock: Clock) -> None:
    out = StringIO()
    with Terminal(Console(file=out), plain_every=10).bar("count", 1000, "rows") as bar:
        for _ in range(1000):
            clock.now += 0.03
            bar.advance()
    assert len(out.getvalue().splitlines()) <= 5


def test_work_of_unknown_length_shows_no_time_left(clock: Clock) -> None:
    out = StringIO()
    with Terminal(Console(file=out)).bar("read", None, "files") as bar:
        clock.now += 2
        bar.advance(3_000_000)
    assert out.getvalue().splitlines()[-1].strip() == "read: 3.0M files, 1.5M files/s, 2 s"


def test_a_terminal_gets_a_live_bar_with_the_same_facts() -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    reporter = Terminal(console)
    with reporter.bar("train palm_5m", 4, "steps") as bar:
        for number in range(4):
            bar.advance()
            bar.note(f"loss {number}")
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.getvalue())
    last = [line for line in shown.replace("\r", "\n").splitlines() if "train palm_5m" in line][-1]
    assert "100%" in last
    assert "steps/s" in last
    assert "left" in last
    assert "loss 3" in last


def test_a_line_that_looks_like_markup_is_printed_as_it_is() -> None:
    out = StringIO()
    Terminal(Console(file=out, width=20)).say("[bold]a line far longer than the console is wide[/bold]")
    assert out.getvalue() == "[bold]a line far longer than the console is wide[/bold]\n"


def test_silence_is_a_reporter_too(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Silent()
    assert isinstance(reporter, Reporter)
    assert isinstance(Terminal(), Reporter)
    reporter.say("nothing")
    with reporter.bar("quiet", 3, "things") as bar:
        assert isinstance(bar, Bar)
        bar.advance(2)
        bar.note("nothing")
    assert capsys.readouterr() == ("", "")
