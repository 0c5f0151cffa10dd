"""The islands of a run: which make its steps, which are on their way, and what is done about those that fail.

Every wait is bounded. An island that is dead, reports an error of its own, or does not answer is killed whole; another
is started in its place, and joins between two steps with the state of a peer. What happens is said, and written to
`islands.jsonl`.
"""

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Reporter
from palmetto.pathways.gang import Gang
from palmetto.pathways.host import StaleError
from palmetto.pathways.islands import IslandsConfig
from palmetto.training.environment import differences

# Islands that fail to join one after the other before no more are tried.
_TRIES = 3


class Fleet:
    """Islands that make the same steps, and hold the same bits."""

    def __init__(
        self, make: Callable[[int], Gang], islands: IslandsConfig, log: Path, reporter: Reporter
    ) -> None:
        """Keep islands that `make` starts, by number; what happens goes to `log` and `reporter`."""
        import ray

        self._ray, self._make, self._islands = ray, make, islands
        self._log, self._say = log, reporter.say
        self._made, self._tries = 0, _TRIES
        self.update = 0
        """Updates made before the step under way."""
        self.live: list[Gang] = []
        """The islands that make steps."""
        self._coming: list[Gang] = []

    def form(self) -> None:
        """Start all islands, and wait for them.

        Raises:
            PalmettoError: they do not start in time, fail, or differ.
        """
        self._coming = [self._new() for _ in range(self._islands.number)]
        try:
            for gang in self._coming:
                self._arrive(gang, gang.asked + self._islands.start_seconds - time.monotonic())
        except self._ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, PalmettoError):
                raise cause from None
            left = {name: count for name, count in self._ray.available_resources().items() if ":" not in name}
            raise PalmettoError(
                f"islands.number {self._islands.number}: an island of {self._islands.hosts} x "
                f"{self._islands.cpus_per_host} CPU and {self._islands.resources or 'nothing else'} did not start "
                f"within islands.start_seconds ({reason(error)}); Ray has left {left}."
            ) from error
        self.live, self._coming = self._coming, []
        around = self.live[0].facts[0]["environment"]
        rows = self._log.read_text().splitlines(keepends=True) if self._log.exists() else []
        if rows and not rows[-1].endswith("\n"):
            # A controller that was killed has left half a row.
            self._log.write_text("".join(rows := rows[:-1]))
        before = [row["environment"] for row in map(json.loads, rows) if row["event"] == "formed"]
        if before and (changed := differences(before[-1], around)):
            self._say(f"  the islands are not what they were ({', '.join(changed)}): the bits may differ")
        self._write("formed", islands=[gang.describe() for gang in self.live], environment=around)
        mesh = " x ".join(str(ways) for ways in around["mesh"].values())
        self._say(
            f"  {len(self.live)} island(s) of {self._islands.hosts} host(s), mesh {mesh} of {around['device_kind']}, "
            f"for {self._islands.virtual_pods} virtual pods; sums travel as {self._islands.transfer}"
        )

    def _new(self) -> Gang:
        self._made += 1
        return self._make(self._made - 1)

    def _arrive(self, gang: Gang, patience: float) -> None:
        """Wait until an island has started, and refuse it if it would give other bits."""
        self._ray.get(gang.started(), timeout=max(0.0, patience))
        gang.facts = self._ray.get(gang.formed)
        first = (self.live or self._coming)[0].facts[0]["environment"]
        if changed := {change for facts in gang.facts for change in differences(first, facts["environment"])}:
            raise PalmettoError(
                f"Island {gang.number} ({gang.facts[0]['machine']}) would give other bits than the others "
                f"({', '.join(sorted(changed))}); run islands on equal machines."
            )

    def admit(self, step: int, settle: Callable[[], None]) -> None:
        """Let islands that have started join the step to come; `settle` sees the steps before it through."""
        for gang in list(self._coming):
            refs = gang.started()
            ready, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
            if len(ready) < len(refs) and time.monotonic() < gang.asked + self._islands.start_seconds:
                continue
            self._coming.remove(gang)
            try:
                self._arrive(gang, 0.0)
                settle()
                peer = self.live[0]
                taken = gang.call("take", step, each=peer.call("give", step, returns=2))
                self._ray.get(taken, timeout=self._islands.timeout_seconds)
            except (self._ray.exceptions.RayError, PalmettoError) as error:
                gang.end()
                self._tries -= 1
                self.tell(
                    "refused", f"island {gang.number} did not join: {reason(error)}", island=gang.number
                )
                self._replace()
                continue
            self._tries = _TRIES
            self.live.append(gang)
            text = f"island {gang.number} joined with the state of island {peer.number}"
            self.tell("joined", text, **gang.describe())

    def answers(self, refs: dict[Any, Gang], bound: float = 0.0) -> set[Any]:
        """Wait for calls; returns those that succeeded. An island whose own call fails or does not end is lost.

        Args:
            refs: what the calls will return, and whose they are.
            bound: seconds in which one of those under way must end; left out, `timeout_seconds`.

        Raises:
            PalmettoError: no island is left.
        """
        bound, errors = bound or self._islands.timeout_seconds, self._ray.exceptions
        pending, good = dict(refs), set()
        while pending:
            ready, _ = self._ray.wait(list(pending), timeout=bound)
            for ref in ready or list(pending):
                gang = pending.pop(ref)
                try:
                    self._ray.get(ref, timeout=0)
                    good.add(ref)
                except StaleError:
                    pass  # It refused, because the step before failed there: its sender sees to that.
                except errors.RayError as error:
                    # What a call waited for may be lost with another island; that is not this one's failure.
                    if not isinstance(getattr(error, "cause", None), errors.RayError):
                        self._lose(gang, reason(error) if ready else f"no answer for {bound:g} s")
        return good

    def _lose(self, gang: Gang, why: str) -> None:
        if gang not in self.live:
            return
        self.live.remove(gang)
        gang.end()
        self.tell("lost", f"island {gang.number} is lost ({why})", island=gang.number)
        if not self.live:
            raise PalmettoError(
                f"All islands were lost by step {self.update + 1:,} (the last: {why}); checkpoints are intact: run the "
                "same command again to go on."
            )
        self._replace()

    def _replace(self) -> None:
        if self._islands.replace_lost and self._tries:
            self._coming.append(self._new())

    def compare(self, asked: dict[Gang, list[Any]], update: int) -> None:
        """Stop the run if islands returned different checksums of their state after an update.

        Raises:
            PalmettoError: names the islands that differ from most.
        """
        good = self.answers({ref: gang for gang, refs in asked.items() for ref in refs})
        sums = {
            gang.number: str(self._ray.get(refs)) for gang, refs in asked.items() if good.issuperset(refs)
        }
        if len(set(sums.values())) < 2:
            return
        usual, most = Counter(sums.values()).most_common(1)[0]
        majority = 2 * most > len(sums)
        odd = [number for number, value in sums.items() if value != usual or not majority]
        who = f"island(s) {', '.join(map(str, odd))} hold other bits than " + (
            f"the {most} that agree" if majority else "each other, and there is no majority"
        )
        self.tell("differs", who, islands=odd)
        raise PalmettoError(
            f"After step {update:,} {who}: memory or a processor is at fault. Checkpoints are intact; leave that "
            "machine out and run the same command again."
        )

    def tell(self, event: str, text: str, **more: Any) -> None:
        """Say what happened to an island, and write it down."""
        self._write(event, update=self.update, what=text, **more)
        self._say(f"step {self.update + 1:,}: {text}")

    def record(self, update: int, reports: dict[int, dict[str, Any]]) -> None:
        """Write what each island received in a step, and where its time went."""
        received = {number: report["received_bytes"] for number, report in reports.items()}
        timing = {number: report["timing"] for number, report in reports.items()}
        self._write("step", update=update, received_bytes=received, timing=timing)

    def _write(self, event: str, **row: Any) -> None:
        with self._log.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"event": event, **row}) + "\n")

    def end(self) -> None:
        """End all islands."""
        for gang in [*self.live, *self._coming]:
            gang.end()
        self.live, self._coming = [], []


def reason(error: Exception) -> str:
    """Return what Ray reports in one line: if not a process's end, the error's kind and the first line of its text."""
    cause = getattr(error, "cause", None) or error
    if type(cause).__name__ in ("ActorDiedError", "ActorUnavailableError"):
        return "a process of it is gone"
    text = str(cause).strip() or "no more is known"
    return f"{type(cause).__name__}: {text.splitlines()[0]}"
