"""Measures pods as islands: where a step's time goes, what moves, and weak scaling from one island to two.

Run: python benchmarks/islands.py [SIZES] [STEPS] [ROUNDS], by default palm_800k,palm_5m 12 3; it takes Ray (extra
`ray`) and two cores. An island is one host with one core; every island computes two virtual pods of four sequences, so
two islands take twice the batch of one (PaLM, section 4: 97 % of perfect weak scaling from one pod to two). Three
things take turns under one Ray: one island; two islands that exchange gradients; and two islands of runs that know
nothing of each other, which is what the machine itself loses when its second core works too. After the figures comes
what they would be for PaLM 540B, from inputs that are printed.
"""

import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from palmetto.common.files import read_json_lines
from palmetto.common.progress import Silent
from palmetto.model.counts import count_parameters
from palmetto.pathways.controller import IslandsEngine
from palmetto.pathways.gang import connected
from palmetto.pathways.islands import IslandsConfig
from palmetto.recipes.models import model_recipe, palm_540b
from palmetto.sharding import make_mesh
from palmetto.training.config import TrainingConfig
from palmetto.training.schedules import BatchSize
from palmetto.training.state import initial_state

PODS, SEQUENCES = 2, 4  # virtual pods of an island, sequences of a virtual pod
WARM_UP = 3  # steps left out at the start of a turn

# PaLM 540B (paper, section 4): steps of 2,048 sequences of 2,048 tokens at 238.3 thousand tokens a second, on two pods
# of 768 hosts, 1.95 times as fast as one pod. The rest is assumed.
HOSTS, TOKENS_PER_SECOND, SPEED_UP = 768, 238_300, 1.95
GBITS = (50, 100, 200)  # of the data-centre network, for each host


class Islands:
    """A run on islands."""

    def __init__(self, size: str, number: int, transfer: Any, out: Path) -> None:
        config = model_recipe(size)
        self._pods = PODS * number
        training = TrainingConfig(steps=1, batch_size=BatchSize((SEQUENCES * self._pods,)))
        islands = IslandsConfig(number, self._pods, transfer=transfer, checksum_every=10**6)
        out.mkdir()
        self.log = out / "islands.jsonl"
        self._engine = IslandsEngine(config, training, islands, out, Silent())
        mesh = make_mesh(training.mesh)
        self._state = self._engine.begin(initial_state(config, training.optimizer, mesh, 0))
        shape = (SEQUENCES * self._pods, config.sequence_length + 1)
        self._rows = np.random.default_rng(0).integers(0, config.vocab_size, shape).astype(np.int32)

    def step(self) -> Any:
        """Dispatch a step; its loss waits for it."""
        self._state, metrics = self._engine.step(self._state, self._rows)
        return metrics.loss

    def close(self) -> None:
        """End its processes."""
        self._engine.close()


def seconds(runs: list[Islands], steps: int) -> list[float]:
    """Return the seconds of every step that the runs make side by side; one step is always on its way."""
    found, waiting, clock = [], [run.step() for run in runs], time.perf_counter()
    for _ in range(steps):
        losses = [run.step() for run in runs]
        for loss in waiting:
            float(loss)
        now = time.perf_counter()
        found.append(now - clock)
        waiting, clock = losses, now
    for loss in waiting:
        float(loss)
    return found[WARM_UP:]


def parts(run: Islands) -> tuple[dict[str, float], float, int]:
    """Return the median seconds of each part over islands and steps, the least of an exchange, the bytes of a step."""
    rows = [row for row in read_json_lines(run.log) if row["event"] == "step"][WARM_UP:]
    values = defaultdict(list)
    for row in rows:
        for island in row["timing"].values():
            for name, value in island.items():
                values[name].append(value)
    medians = {name: statistics.median(found) for name, found in values.items()}
    return medians, min(values["transfer"]), sum(rows[-1]["received_bytes"].values())


def measure(size: str, transfer: str, steps: int, rounds: int, place: Path) -> float:
    """Print a size's figures; return the bytes a second at which an island sent and received in the best exchange."""
    times: dict[str, list[float]] = {"one": [], "two": [], "apart": []}
    last: Any = None
    for number in range(rounds):
        for name, islands in (("one", [1]), ("apart", [1, 1]), ("two", [2])):
            runs = [
                Islands(size, count, transfer, place / f"{size}-{transfer}-{number}-{name}-{index}")
                for index, count in enumerate(islands)
            ]
            times[name] += seconds(runs, steps)
            if name == "two":
                last = parts(runs[0])
            for run in runs:
                run.close()
        print(f"  round {number + 1}, load average {os.getloadavg()[0]:.1f}", flush=True)
    spent, least, moved = last
    for word, reduce in (("medians", statistics.median), ("fastest steps", min)):
        one, two, apart = (reduce(times[name]) for name in ("one", "two", "apart"))
        print(
            f"{size}, {transfer}, {word}: 1 island {1e3 * one:.1f} ms a step, 2 islands {1e3 * two:.1f} ms, 2 that "
            f"know nothing of each other {1e3 * apart:.1f} ms; efficiency of 2 {one / two:.1%}, of what the machine "
            f"allows ({one / apart:.1%}) {apart / two:.1%}"
        )
    shares = ", ".join(f"{name} {1e3 * value:.1f}" for name, value in spent.items())
    print(
        f"  an island's step, medians in ms: {shares} (with the wait for the slower island; the least exchange "
        f"{1e3 * least:.1f}); {moved / 1e6:.2f} MB received by both",
        flush=True,
    )
    return moved / 2 / least


def at_540b(rate: float) -> None:
    """Print what crosses and what it costs for the paper's own run; `rate` is what was measured, in bytes a second."""
    parameters = count_parameters(palm_540b())
    each = parameters * 2 / HOSTS
    step = 2048 * 2048 / TOKENS_PER_SECOND
    print(
        f"PaLM 540B: {parameters / 1e9:.2f} B parameters x 2 bytes (bfloat16) / {HOSTS} hosts = {each / 2**30:.2f} GiB "
        f"for each pair of hosts and direction (paper: about 1.3 GB); a step takes {step:.1f} s (238.3 thousand tokens "
        f"a second), of which {step * (1 - SPEED_UP / 2):.2f} s are lost at {SPEED_UP} times one pod's speed "
        f"({SPEED_UP / 2:.1%})"
    )
    for gbits in GBITS:
        wire = each * 8 / (gbits * 1e9)
        print(
            f"  assumed {gbits} Gbit/s a host: {wire:.2f} s on the wire, {1 - wire / step:.1%} if nothing overlaps"
        )
    store = each / rate
    print(
        f"  at {rate / 1e6:.0f} MB/s, at which the last islands, of one core, exchanged gradients through Ray's store "
        f"in their best step: {store:.1f} s, {1 - store / step:.1%}"
    )


def main() -> None:
    sizes, steps, rounds, *_ = [*sys.argv[1:], *("palm_800k,palm_5m", "12", "3")[len(sys.argv) - 1 :]]
    os.environ.setdefault("NPROC", "1")
    jax.config.update("jax_platforms", "cpu")
    rate = 0.0
    with connected(IslandsConfig(2), print), tempfile.TemporaryDirectory() as place:
        for size in sizes.split(","):
            for transfer in ("float32", "bfloat16"):
                rate = measure(size, transfer, int(steps), int(rounds), Path(place))
    at_540b(rate)


if __name__ == "__main__":
    main()
