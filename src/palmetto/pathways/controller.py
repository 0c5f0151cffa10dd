"""The single controller: one program that makes the training loop's steps on islands, and survives their loss.

It sends every island its share of the batch, lets the islands exchange sums, and lets each apply the whole (PaLM,
figure 2; Barham et al., 2022). Everything is dispatched ahead: calls name what earlier calls will return, and the
controller looks at a step's results when the next step is on its way. What fails is mended within its step: a step
ends when every island that is left has made it, so the bits are those of any other run.
"""

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Reporter
from palmetto.model.config import ModelConfig
from palmetto.pathways.exchange import cut, digest
from palmetto.pathways.fleet import Fleet, reason
from palmetto.pathways.gang import Gang
from palmetto.pathways.islands import IslandsConfig
from palmetto.pathways.tree import Node, cover, deal
from palmetto.sharding import make_mesh
from palmetto.training.config import TrainingConfig
from palmetto.training.state import StepMetrics, TrainState, abstract_state

# A step that is sent out so much more often than islands were lost cannot be made.
_ROUNDS = 3


@dataclass
class _Job:
    """A step that was dispatched and is not known to have been made."""

    step: int  # the controller's own count, which never goes back
    update: int
    rows: list[Any]
    sums: dict[Node, tuple[Gang, list[Any]]] = field(
        default_factory=dict
    )  # by host: parts of the loss, blocks
    applied: dict[Gang, list[Any]] = field(default_factory=dict)
    digests: dict[Gang, list[Any]] = field(default_factory=dict)
    rounds: int = 0
    metrics: dict[str, float] = field(default_factory=dict)


class _Later:
    """A scalar of a step that may be under way."""

    def __init__(self, engine: "IslandsEngine", job: _Job, name: str) -> None:
        self._engine, self._job, self._name = engine, job, name

    def __float__(self) -> float:
        return self._engine.metrics(self._job)[self._name]


class IslandsEngine:
    """Makes a run's steps on islands: an `Engine` of the training loop, whose states are numbers of steps."""

    def __init__(
        self,
        model: ModelConfig,
        training: TrainingConfig,
        islands: IslandsConfig,
        out: Path,
        reporter: Reporter,
    ) -> None:
        """Prepare a run under a Ray that is connected; islands are started when the run begins.

        Args:
            model: the model.
            training: the run; on the islands `islands.mesh` takes the place of its mesh.
            islands: how it is spread.
            out: gets `islands.jsonl`: what happened to which island, and where the time of every step went.
            reporter: is told what happens to islands.

        Raises:
            PalmettoError: the virtual pods do not divide the batches.
        """
        import ray

        pods, sizes = islands.virtual_pods, training.batch_size.sizes
        if any(size % pods for size in sizes):
            raise PalmettoError(
                f"training.batch_size.sizes {sizes} are cut into islands.virtual_pods {pods} equal parts; make each a "
                "multiple of it, or the virtual pods fewer."
            )
        self._ray, self._model, self._training, self._islands = ray, model, training, islands
        self._fleet = Fleet(self._gang, islands, out / "islands.jsonl", reporter)
        self._shape = (sizes[0] // pods, model.sequence_length + 1)
        self._jobs, self._step = deque[_Job](), 0
        self._fetched: tuple[int, TrainState] | None = None

    def _gang(self, number: int) -> Gang:
        gang = Gang(number, self._model, self._training, self._islands)
        gang.prepare(self._shape)
        return gang

    def begin(self, state: TrainState) -> int:
        """Start the islands, if they are not there, and give each its blocks of the state.

        Raises:
            PalmettoError: they could not be started; an island differs from the others.
        """
        if not self._fleet.live:
            self._fleet.form()
        self._jobs.clear()
        self._fetched = None
        self._step += 1
        self._fleet.update = int(state.optimizer.count)
        wholes = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
        given = []
        for facts in self._fleet.live[0].facts:
            blocks = cut(wholes, facts["layout"])
            given.append((digest(blocks), self._ray.put(blocks)))
        taken = {ref: gang for gang in self._fleet.live for ref in gang.call("take", self._step, each=given)}
        self._fleet.answers(taken, self._islands.start_seconds)
        return self._step

    def step(self, state: int, rows: Int[np.ndarray, "B *T"]) -> tuple[int, StepMetrics]:
        """Dispatch one update; its metrics wait for it when they are looked at.

        Raises:
            PalmettoError: all islands are lost, or two disagree; or the records are those of finetuning.
        """
        if rows.ndim != 2:
            raise PalmettoError("--controller ray trains on packed corpora; finetune without it.")
        while len(self._jobs) > 1:
            self._settle()
        self._fleet.admit(state, self._settle_all)
        parts = np.split(rows.astype(np.int32), self._islands.virtual_pods)
        self._shape = (len(parts[0]), rows.shape[1])
        # Compilation has its own, longer bound; and collectives do not wait long for a host that still compiles.
        fresh = {ref: gang for gang in self._fleet.live for ref in gang.prepare(self._shape)}
        self._fleet.answers(fresh, self._islands.start_seconds)
        job = _Job(state, self._fleet.update, [self._ray.put(part) for part in parts])
        self._dispatch(job)
        self._jobs.append(job)
        self._step = state + 1
        self._fleet.update += 1
        later: list[Any] = [_Later(self, job, name) for name in StepMetrics._fields]
        return self._step, StepMetrics(*later)

    def metrics(self, job: _Job) -> dict[str, float]:
        """Return a step's metrics once every island has made it."""
        while not job.metrics:
            self._settle()
        return job.metrics

    def fetch(self, state: int) -> TrainState:
        """Return the state from one of the islands, after comparing them all.

        Raises:
            PalmettoError: islands disagree; all are lost.
        """
        if self._fetched is not None and self._fetched[0] == state:
            return self._fetched[1]
        self._settle_all()
        self._fleet.compare(
            {gang: gang.call("digest", state) for gang in self._fleet.live}, self._fleet.update
        )
        while True:
            gang = self._fleet.live[0]
            given = gang.call("give", state, returns=2)
            if len(self._fleet.answers({checksum: gang for checksum, _ in given})) == len(given):
                break
        leaves, structure = jax.tree.flatten(abstract_state(self._model, make_mesh(self._training.mesh)))
        wholes = [np.empty(leaf.shape, leaf.dtype) for leaf in leaves]
        for facts, (_, blocks) in zip(gang.facts, given, strict=True):
            for target, block in zip(cut(wholes, facts["layout"]), self._ray.get(blocks), strict=True):
                target[...] = block
        arrays = [jax.device_put(whole, leaf.sharding) for whole, leaf in zip(wholes, leaves, strict=True)]
        self._fetched = (state, jax.tree.unflatten(structure, arrays))
        return self._fetched[1]

    def close(self) -> None:
        """End all islands."""
        self._fleet.end()

    def _dispatch(self, job: _Job) -> None:
        """Send out what the step still lacks; nothing is waited for."""
        live, pods = self._fleet.live, self._islands.virtual_pods
        held = {pod for node in job.sums for pod in node.leaves()}
        lacking = [pod for pod in range(pods) if pod not in held]
        for gang, share in zip(live, deal(lacking, len(live)), strict=True):
            for node in cover(share):
                rows = [job.rows[pod] for pod in node.leaves()]
                refs = gang.call("compute", job.step, tuple(node), len(live) > 1, *rows, returns=2)
                job.sums[node] = gang, refs
        for gang in live:
            if gang in job.applied:
                continue
            foreign = {node: refs for node, (owner, refs) in sorted(job.sums.items()) if owner is not gang}
            # From the host of the same rank; and each waits for all of its island to have received, so that none is
            # alone in a collective when something did not arrive.
            by_rank = zip(*foreign.values(), strict=True)
            values = [[ref for pair in pairs for ref in pair] for pairs in by_rank]
            received = (
                gang.call("receive", job.step, list(map(tuple, foreign)), each=values) if foreign else []
            )
            job.applied[gang] = gang.call("apply", job.step, *received)
            if (job.update + 1) % self._islands.checksum_every == 0 and len(live) > 1:
                job.digests[gang] = gang.call("digest", job.step + 1)

    def _settle_all(self) -> None:
        while self._jobs:
            self._settle()

    def _settle(self) -> None:
        """See the oldest step through."""
        job = self._jobs[0]
        while True:
            calls = [ref for refs in job.applied.values() for ref in refs]
            try:
                results = self._ray.get(calls, timeout=self._islands.timeout_seconds)
                break
            except self._ray.exceptions.RayError as error:
                self._mend(job, error)
        asked = {gang: refs for gang, refs in job.digests.items() if gang in self._fleet.live}
        self._fleet.compare(asked, job.update + 1)
        firsts = results[:: self._islands.hosts]
        reports = {gang.number: report for gang, report in zip(job.applied, firsts, strict=True)}
        self._fleet.record(job.update + 1, reports)
        job.metrics = firsts[0]["metrics"]
        self._jobs.popleft()

    def _mend(self, job: _Job, error: Exception) -> None:
        """Find out what a step lacks, let go of the islands that are lost, and send it out again."""
        before = len(self._fleet.live)
        made = self._fleet.answers({ref: gang for gang, refs in job.sums.values() for ref, _ in refs})
        whole = {node: held for node, held in job.sums.items() if made.issuperset(ref for ref, _ in held[1])}
        if len(whole) < len(job.sums):
            # Every island waits for every sum: none has made the step.
            job.sums, job.applied = whole, {}
        else:
            made = self._fleet.answers({ref: gang for gang, refs in job.applied.items() for ref in refs})
            job.applied = {gang: refs for gang, refs in job.applied.items() if made.issuperset(refs)}
            if not job.applied and len(self._fleet.live) == before:
                # All sums were made, and some did not arrive: the machine that kept them is gone.
                job.sums = {}
        job.applied = {gang: refs for gang, refs in job.applied.items() if gang in self._fleet.live}
        job.rounds += 1
        if job.rounds > self._islands.number + _ROUNDS:
            raise PalmettoError(
                f"Step {job.update + 1:,} could not be made on {len(self._fleet.live)} islands: {reason(error)}; "
                "earlier checkpoints are intact."
            )
        self._dispatch(job)
