"""The controller on islands that fail at any call, in one process: nothing is lost, and the bits stay the same.

`fake_ray` stands in for Ray; drills/test_islands.py does the same to real processes.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_ray
import numpy as np
import pytest
from fake_ray import FakeGang
from hypothesis import given, settings
from hypothesis import strategies as st
from small_islands import MODEL, TRAINING, SharedHost, batches, host, islands, leaves, start

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Silent
from palmetto.pathways.controller import IslandsEngine
from palmetto.pathways.gang import connected
from palmetto.pathways.host import Host
from palmetto.sharding import MeshConfig

STEPS = 8
Strike = Callable[[FakeGang, str], str | None]


class Heard(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


class Engine(IslandsEngine):
    """An engine whose islands are in this process."""

    strike: Strike = staticmethod(lambda gang, method: None)

    def _gang(self, number: int) -> FakeGang:  # type: ignore[override]
        made = FakeGang(number, SharedHost(MODEL, TRAINING, self._islands), self.strike)
        made.prepare(self._shape)
        return made


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", fake_ray)


def engine(out: Path, strike: Strike | None = None, number: int = 3, **more: Any) -> Engine:
    made = Engine(MODEL, TRAINING, islands(number, timeout_seconds=0.01, **more), out, Heard())
    if strike is not None:
        made.strike = strike
    return made


def run(made: Engine) -> tuple[list[list[float]], list[bytes]]:
    """Train as the loop does: a step is looked at when the next one is on its way. Returns metrics and state."""
    state, waiting, seen = made.begin(start()), None, []
    for rows in batches(STEPS):
        state, metrics = made.step(state, rows)
        if waiting is not None:
            seen.append([float(value) for value in waiting])
        waiting = metrics
    seen.append([float(value) for value in waiting])
    return seen, [leaf.tobytes() for leaf in leaves(made.fetch(state))]


def undisturbed() -> tuple[list[list[float]], list[bytes]]:
    """The oracle: one host driven by hand, without a controller."""
    alone, seen = host(islands(1)), []
    for step, rows in enumerate(batches(STEPS)):
        alone.compute(step, (0, 4), False, *np.split(rows, 4))
        seen.append(list(alone.apply(step)["metrics"].values()))
    return seen, [block.tobytes() for block in alone.give(STEPS)[1]]


def events(out: Path, kind: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (out / "islands.jsonl").read_text().splitlines()]
    return [row for row in rows if row["event"] == kind]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_run_without_faults_has_the_bits_of_one_host(tmp_path: Path, number: int) -> None:
    assert run(engine(tmp_path, number=number)) == undisturbed()
    assert len(events(tmp_path, "step")) == STEPS


@settings(max_examples=12, deadline=None)
@given(
    st.sets(st.integers(8, 150), max_size=6),
    st.lists(st.sampled_from(["kill", "stop"]), min_size=6, max_size=6),
)
def test_islands_lost_at_any_calls_change_no_bit(
    tmp_path_factory: pytest.TempPathFactory, moments: set[int], how: list[str]
) -> None:
    """Faults come at any calls after the islands are formed, to whichever island is called, but never to the last."""
    count, faults = 0, iter(how)

    def strike(gang: FakeGang, method: str) -> str | None:
        nonlocal count
        count += 1
        well = [other for other in made._fleet.live if other._state == "alive"]
        return next(faults) if count in moments and well not in ([], [gang]) else None

    made = engine(tmp_path_factory.mktemp("run"), strike)
    assert run(made) == ORACLE
    made.close()


ORACLE = undisturbed()


def struck(method: str, island: int, how: str = "kill") -> Strike:
    """Strike one island at its second call of a method."""
    seen = 0

    def strike(gang: FakeGang, called: str) -> str | None:
        nonlocal seen
        seen += gang.number == island and called == method
        return how if seen == 2 and gang.number == island and called == method else None

    return strike


@pytest.mark.parametrize("method", ["compute", "receive", "apply"])
def test_another_island_joins_in_place_of_a_lost_one(tmp_path: Path, method: str) -> None:
    made = engine(tmp_path, struck(method, 1))
    assert run(made) == ORACLE
    assert [row["island"] for row in events(tmp_path, "lost")] == [1]
    assert [row["island"] for row in events(tmp_path, "joined")] == [3]
    assert [gang.number for gang in made._fleet.live] == [0, 2, 3]
    assert any(
        "island 1 is lost (a process of it is gone)" in line for line in made._fleet._say.__self__.lines
    )


def test_an_island_that_does_not_answer_is_lost_and_its_wait_is_named(tmp_path: Path) -> None:
    assert run(engine(tmp_path, struck("compute", 0, "stop"))) == ORACLE
    assert "no answer for 0.01 s" in events(tmp_path, "lost")[0]["what"]


def test_without_replacement_the_others_go_on_alone(tmp_path: Path) -> None:
    made = engine(tmp_path, struck("apply", 2), replace_lost=False)
    assert run(made) == ORACLE
    assert [gang.number for gang in made._fleet.live] == [0, 1]


def test_when_all_islands_are_lost_the_error_says_how_to_go_on(tmp_path: Path) -> None:
    made = engine(tmp_path, lambda gang, method: "kill" if method == "apply" else None)
    with pytest.raises(PalmettoError, match=r"All islands were lost by step .* checkpoints are intact"):
        run(made)


def test_an_island_that_keeps_failing_to_join_is_given_up(tmp_path: Path) -> None:
    first = struck("compute", 1)

    def strike(gang: FakeGang, method: str) -> str | None:
        return "kill" if gang.number >= 3 and method == "take" else first(gang, method)

    assert run(engine(tmp_path, strike)) == ORACLE
    assert [row["island"] for row in events(tmp_path, "refused")] == [3, 4, 5]


def test_an_island_of_another_kind_is_not_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form, formed = SharedHost.form, 0

    def other(self: Host, rank: int = 0, address: str = "") -> dict[str, Any]:
        nonlocal formed
        formed += 1
        facts = form(self, rank, address)
        return {**facts, "environment": {**facts["environment"], "threads": formed // 3}}

    monkeypatch.setattr(SharedHost, "form", other)
    with pytest.raises(PalmettoError, match=r"Island 2 .* other bits than the others .*threads 0 -> 1"):
        engine(tmp_path).begin(start())


@pytest.mark.parametrize(
    ("number", "who"), [(3, "island\\(s\\) 1 hold other"), (2, "island\\(s\\) 0, 1 hold other")]
)
def test_an_island_with_other_bits_stops_the_run_and_is_named(tmp_path: Path, number: int, who: str) -> None:
    made = engine(tmp_path, number=number, checksum_every=2)
    state = made.begin(start())
    gang = made._fleet.live[1]
    _, blocks = gang.host.give(state)
    blocks = [block.copy() for block in blocks]
    blocks[3].reshape(-1)[0] *= 1.5
    from palmetto.pathways.exchange import digest

    gang.host.take(state, digest(blocks), blocks)
    with pytest.raises(PalmettoError, match=f"After step 2 {who}.*Checkpoints are intact"):
        for rows in batches(STEPS):
            state, metrics = made.step(state, rows)
            float(metrics.loss)
    assert events(tmp_path, "differs")


def test_going_back_gives_the_islands_the_old_state(tmp_path: Path) -> None:
    """As after a loss spike: the loop begins again from a state it restored, while a step is under way."""
    made = engine(tmp_path)
    state = made.begin(start())
    for rows in batches(2):
        state, _ = made.step(state, rows)
    assert run(made) == ORACLE


def test_records_of_finetuning_are_refused(tmp_path: Path) -> None:
    made = engine(tmp_path)
    state = made.begin(start())
    with pytest.raises(PalmettoError, match="finetune without it"):
        made.step(state, np.zeros((8, 2, 9), np.int32))


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PalmettoError, match=r"palmetto\[ray\]"), connected(islands(), print):
        pass


def test_a_run_that_goes_on_among_other_machines_says_so(tmp_path: Path) -> None:
    first = engine(tmp_path)
    first.begin(start())
    log = tmp_path / "islands.jsonl"
    log.write_text(
        log.read_text().replace('"threads": ', '"threads": 9') + '{"event": "st'
    )  # and killed in a row
    again = engine(tmp_path)
    again.begin(start())
    assert any("not what they were (threads 9" in line for line in again._fleet._say.__self__.lines)
    assert len(events(tmp_path, "formed")) == 2


def test_what_an_island_finds_wrong_with_the_run_is_the_error(tmp_path: Path) -> None:
    made = engine(tmp_path, mesh=MeshConfig(data=3))
    with pytest.raises(PalmettoError, match="MeshConfig pod=1 x data=3 x model=1 does not fit"):
        made.begin(start())
