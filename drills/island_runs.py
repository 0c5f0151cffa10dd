"""What the drill of islands shares: a run without end, its reference without Ray, runs under one Ray, and faults.

As a program: `reference CORPUS TRANSFER STEPS` is one host driven by hand; `saved OUT STEP` reads a checkpoint;
`several CORPUS` trains on one Ray with several numbers of islands; `damaged CORPUS OUT` changes a weight of one island;
`cluster CORPUS OUT` loses a machine. Each prints JSON.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from palmetto.model.config import ModelConfig
from palmetto.recipes.training import RunConfig
from palmetto.training.config import TrainingConfig
from palmetto.training.optimizer import OptimizerConfig
from palmetto.training.schedules import BatchSize, LearningRate

PODS, EVERY = 4, 20


def run() -> RunConfig:
    """Two layers; so many steps that a drill ends it, not the recipe. The batch doubles on the way."""
    return RunConfig(
        ModelConfig(
            "endless", n_layers=2, d_model=32, n_heads=2, head_dim=16, vocab_size=512, sequence_length=64
        ),
        TrainingConfig(
            steps=100_000,
            batch_size=BatchSize((8, 16), (0, 12)),
            optimizer=OptimizerConfig(learning_rate=LearningRate(peak=0.05, plateau_steps=20)),
            epochs=1000,
            checkpoint_every=EVERY,
            evaluate_every=100_000,
            heldout_tokens=1024,
            final_heldout_tokens=1024,
        ),
    )


def events(out: Path, *kinds: str) -> list[dict[str, Any]]:
    """Return the whole rows of `islands.jsonl`, of these kinds."""
    path = out / "islands.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith("\n")]
    return [row for row in rows if row["event"] in kinds]


def living(out: Path) -> dict[int, list[int]]:
    """Return the processes of every island that is in the run."""
    islands: dict[int, list[int]] = {}
    for row in events(out, "formed", "joined", "lost"):
        if row["event"] == "formed":
            islands = {island["island"]: island["pid"] for island in row["islands"]}
        elif row["event"] == "joined":
            islands[row["island"]] = row["pid"]
        else:
            islands.pop(row["island"], None)
    return islands


class Faults:
    """Strikes islands of a run at random moments, and always leaves one."""

    def __init__(self, out: Path, seed: int) -> None:
        self._out, self._random = out, random.Random(seed)
        self._struck: set[int] = set()
        self.done: list[str] = []

    def strike(self, alive: Callable[[], bool], patience: float = 90.0) -> None:
        """Wait until two islands are well, then a random while; kill or stop one, or pause it for a moment."""
        deadline = time.monotonic() + patience
        while len(well := living(self._out).keys() - self._struck) < 2:
            assert alive(), "the run ended"
            assert time.monotonic() < deadline, f"no island came: {events(self._out, 'lost', 'joined')[-3:]}"
            time.sleep(0.02)
        time.sleep(self._random.uniform(0.0, 0.5))
        island = self._random.choice(sorted(well & living(self._out).keys()))
        pid = self._random.choice(living(self._out)[island])
        (how,) = self._random.choices(["kill", "stop", "pause"], [14, 3, 3])
        os.kill(pid, signal.SIGKILL if how == "kill" else signal.SIGSTOP)
        if how == "pause":
            time.sleep(0.7)
            os.kill(pid, signal.SIGCONT)
        else:
            self._struck.add(island)
        self.done.append(how)


def _start() -> Any:
    from palmetto.sharding import make_mesh
    from palmetto.training.state import initial_state

    recipe = run()
    return initial_state(
        recipe.model, recipe.training.optimizer, make_mesh(recipe.training.mesh), recipe.training.seed
    )


def _batches(corpus: str) -> Any:
    from palmetto.training.data import TrainingData, open_batches

    return open_batches(run().training, TrainingData.packed([Path(corpus) / "corpus"]))


def _sha256(state: Any) -> str:
    from palmetto.pathways.exchange import digest, pack

    return digest(pack(state))


def reference(corpus: str, transfer: Any, steps: str) -> dict[str, Any]:
    """Train as one island does, without a controller, Ray, or another process."""
    from palmetto.pathways.exchange import pack
    from palmetto.pathways.host import Host
    from palmetto.pathways.islands import IslandsConfig

    recipe, state, batches = run(), _start(), _batches(corpus)
    host = Host(recipe.model, recipe.training, IslandsConfig(1, virtual_pods=PODS, transfer=transfer))
    host.form()
    host.take(0, _sha256(state), pack(state))
    metrics: list[dict[str, float]] = []
    for step in range(int(steps)):
        rows = batches[step]
        host.prepare(len(rows) // PODS, rows.shape[1])
        host.compute(step, (0, PODS), False, *np.split(rows, PODS))
        metrics.append(host.apply(step)["metrics"])
    return {"metrics": metrics, "sha256": host.digest(int(steps))}


def saved(out: str, step: str) -> str:
    """Return the checksum of a checkpoint's state."""
    from palmetto.sharding import make_mesh
    from palmetto.training.checkpoints import restore_state
    from palmetto.training.state import abstract_state

    abstract = abstract_state(run().model, make_mesh(run().training.mesh))
    return _sha256(restore_state(Path(out) / "checkpoints", int(step), abstract))


def several(corpus: str, steps: int = 20) -> dict[str, Any]:
    """Train on the same batches with several numbers of islands, and on one mesh, under one Ray."""
    from palmetto.common.progress import Silent
    from palmetto.pathways.controller import IslandsEngine
    from palmetto.pathways.gang import connected
    from palmetto.pathways.islands import IslandsConfig
    from palmetto.sharding import make_mesh
    from palmetto.training.engine import MeshEngine

    model, training = run().model, run().training
    found, batches = {}, _batches(corpus)
    with connected(IslandsConfig(4), print):
        for number, hosts, transfer in (
            *((number, 1, "float32") for number in (0, 1, 2, 4)),
            *((number, 1, "bfloat16") for number in (1, 3)),
            *((number, 2, "float32") for number in (1, 2)),
        ):
            out = Path(corpus) / f"several-{number}-{hosts}-{transfer}"
            out.mkdir()
            engine: Any = MeshEngine(model, training, training.execution, make_mesh(training.mesh))
            if number:
                config = IslandsConfig(number, PODS, hosts, transfer=transfer)  # type: ignore[arg-type]
                engine = IslandsEngine(model, training, config, out, Silent())
            state, metrics = engine.begin(_start()), []
            for step in range(steps):
                state, values = engine.step(state, batches[step])
                metrics.append({name: float(value) for name, value in values._asdict().items()})
            found[f"{number} {hosts} {transfer}"] = {
                "metrics": metrics,
                "sha256": _sha256(engine.fetch(state)),
            }
            engine.close()
    return found


def damaged(corpus: str, out: str) -> str:
    """Change one weight of one island in a run of three; return how the run ends."""
    from palmetto.common.errors import PalmettoError
    from palmetto.common.progress import Silent
    from palmetto.pathways.controller import IslandsEngine
    from palmetto.pathways.exchange import digest
    from palmetto.pathways.gang import connected
    from palmetto.pathways.islands import IslandsConfig

    model, training, batches = run().model, run().training, _batches(corpus)
    config = IslandsConfig(3, PODS, checksum_every=4)
    Path(out).mkdir()
    with connected(config, print):
        import ray

        engine = IslandsEngine(model, training, config, Path(out), Silent())
        state = engine.begin(_start())
        try:
            for step in range(20):
                if step == 5:
                    engine.fetch(state)
                    gang = engine._fleet.live[1]
                    ((_, given),) = gang.call("give", state, returns=2)
                    blocks = [np.array(block) for block in ray.get(given)]
                    blocks[2].reshape(-1).view(np.uint32)[7] ^= 1  # one bit
                    ray.get(gang.call("take", state, digest(blocks), ray.put(blocks)))
                state, metrics = engine.step(state, batches[step])
                float(metrics.loss)
        except PalmettoError as error:
            return str(error)
        finally:
            engine.close()
    return "the run ended"


def cluster(corpus: str, out: str, steps: int = 40) -> dict[str, Any]:
    """Train on a cluster of three machines, of which one is lost and another comes; all of them are here."""
    for name in ("RAY_health_check_period_ms", "RAY_health_check_initial_delay_ms"):
        os.environ[name] = "1000"
    from ray.cluster_utils import Cluster

    from palmetto.common.progress import Silent
    from palmetto.pathways.controller import IslandsEngine
    from palmetto.pathways.gang import connected
    from palmetto.pathways.islands import IslandsConfig

    machines = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [machines.add_node(num_cpus=1) for _ in range(3)]
    config = IslandsConfig(3, PODS, address=machines.address, timeout_seconds=20)
    batches, waiting, metrics = _batches(corpus), None, []
    Path(out).mkdir()
    with connected(config, print):
        engine = IslandsEngine(run().model, run().training, config, Path(out), Silent())
        state = engine.begin(_start())
        for step in range(steps):
            if step == 10:
                machines.remove_node(nodes[1], allow_graceful=False)
                machines.add_node(num_cpus=1)
            while step == steps - 5 and not events(Path(out), "joined"):
                time.sleep(0.1)
                engine._fleet.admit(state, engine._settle_all)
            state, values = engine.step(state, batches[step])
            metrics += [] if waiting is None else [{name: float(x) for name, x in waiting._asdict().items()}]
            waiting = values
        metrics.append({name: float(x) for name, x in waiting._asdict().items()})
        found = {"metrics": metrics, "sha256": _sha256(engine.fetch(state))}
        engine.close()
    machines.shutdown()
    return found


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
