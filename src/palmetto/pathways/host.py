"""A host of an island: one process of its SPMD program, holding its shards of the state.

Whoever drives it says with every call which step the call belongs to, and a host that is not at that step refuses.
All hosts of an island get the same calls in the same order, and a call that talks to the other hosts runs only when
every one of them can run it: that is the controller's part of the contract.
"""

import time
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from palmetto.common.errors import PalmettoError
from palmetto.model.config import ModelConfig
from palmetto.model.execution import resolve_attention
from palmetto.pathways.components import Components, Sum
from palmetto.pathways.exchange import Blocks, digest, layout, pack, place
from palmetto.pathways.islands import IslandsConfig
from palmetto.pathways.tree import Node, total
from palmetto.sharding import check_divides, make_mesh
from palmetto.training.config import TrainingConfig
from palmetto.training.environment import environment


class StaleError(Exception):
    """A call for a step that this host is not at; nothing was done."""


class Host:
    """One process of an island."""

    def __init__(self, model: ModelConfig, training: TrainingConfig, islands: IslandsConfig) -> None:
        self._model, self._training, self._islands = model, training, islands
        self._held: dict[Node, Sum] = {}
        self._begun, self._a = 0.0, 0.0
        self._stand(-1, None)

    def form(self, rank: int = 0, address: str = "") -> dict[str, Any]:
        """Meet the island's other hosts, as number `rank`, at `address`.

        Returns:
            What decides bits, and which blocks of the state are here.

        Raises:
            PalmettoError: the mesh does not fit the devices, or does not divide the model or a virtual pod.
        """
        islands, training = self._islands, self._training
        if islands.hosts > 1:
            jax.distributed.initialize(address, islands.hosts, rank, cluster_detection_method="deactivate")
        mesh = make_mesh(islands.mesh)
        check_divides(self._model, mesh)
        parts = islands.virtual_pods * mesh.shape["data"] * training.microbatches
        if any(size % parts for size in training.batch_size.sizes):
            raise PalmettoError(
                f"training.batch_size.sizes {training.batch_size.sizes} are cut into {parts} parts (virtual pods x "
                "data x microbatches); make each a multiple of that, or islands.virtual_pods smaller."
            )
        attention = resolve_attention(training.execution, self._model)
        execution = replace(training.execution, attention=attention)
        self._components = Components(self._model, training, execution, islands, mesh)
        around = {**environment(), "mesh": dict(mesh.shape), "attention": attention}
        return {"environment": around, "layout": layout(self._components.state)}

    def prepare(self, sequences: int, length: int) -> None:
        """Compile the step for virtual pods of so many records of so many tokens."""
        self._components.compile(sequences, length)

    def give(self, step: int) -> tuple[str, Blocks]:
        """Return this host's blocks of the state, for a host of this rank elsewhere, after their checksum."""
        self._check(step)
        blocks = pack(self._state)
        return digest(blocks), blocks

    def take(self, step: int, checksum: str, blocks: Blocks) -> None:
        """Take the blocks that are this host's, and stand at `step`.

        Raises:
            PalmettoError: what arrived is not what was given.
        """
        self._stand(step, place(blocks, self._components.state))
        if self.digest(step) != checksum:
            self._step = -1
            raise PalmettoError("the state that arrived has another checksum than what was sent")

    def digest(self, step: int) -> str:
        """Return the SHA-256 of this host's blocks of weights and optimizer."""
        return self.give(step)[0]

    def compute(self, step: int, node: tuple[int, int], send: bool, *rows: Int[np.ndarray, "B T"]) -> Any:
        """Run component A on every virtual pod of a subtree, and keep their sum.

        Args:
            step: the controller's.
            node: the subtree.
            send: whether other islands want the sum.
            rows: the records of each of its virtual pods.

        Returns:
            The parts of the loss; with `send` the gradients' blocks, else nothing.
        """
        self._check(step)
        start = time.perf_counter()
        self._begun = self._begun or start
        subtree = Node(*node)

        def leaf(part: Node) -> Sum | None:
            if part.size > 1:
                return None
            return self._components.gradients(self._state, part.start, rows[part.start - subtree.start])

        value = jax.block_until_ready(total(subtree, leaf, self._components.add))
        self._held[subtree] = value
        self._a += time.perf_counter() - start
        sent = (
            pack(self._components.as_sent(value)[0], half=self._islands.transfer == "bfloat16")
            if send
            else []
        )
        return pack(value[1]), sent

    def receive(self, step: int, nodes: list[tuple[int, int]], *values: Blocks) -> None:
        """Take the sums of subtrees that other islands hold: of each what `compute` returned."""
        self._check(step)
        for node, parts, blocks in zip(nodes, values[::2], values[1::2], strict=True):
            self._held[Node(*node)] = place([*blocks, *parts], self._components.sum)
            self._received += sum(block.nbytes for block in blocks)

    def apply(self, step: int, *received: None) -> dict[str, Any]:
        """Sum the tree up and run component B; the host stands at the next step afterwards.

        Args:
            step: the controller's.
            received: what every host of the island returned from `receive`: it only had to be waited for.

        Returns:
            The step's metrics; the bytes that came from other islands; where the time went, in seconds.
        """
        self._check(step)
        start = time.perf_counter()
        try:
            summed = total(Node(0, self._islands.virtual_pods), self._held.get, self._components.add)
        except LookupError as error:
            raise StaleError(str(error)) from None
        state, metrics = self._components.update(self._state, summed)
        values = {name: float(value) for name, value in metrics._asdict().items()}
        timing = {
            "idle": self._begun - self._ended,
            "a": self._a,
            "transfer": start - self._begun - self._a,
            "b": time.perf_counter() - start,
        }
        report = {"metrics": values, "received_bytes": self._received, "timing": timing}
        self._stand(step + 1, state)
        return report

    def _check(self, step: int) -> None:
        if step != self._step:
            raise StaleError(f"asked for step {step}, at step {self._step}")

    def _stand(self, step: int, state: Any) -> None:
        self._step, self._state, self._received = step, state, 0
        self._held.clear()
        self._begun, self._ended, self._a = 0.0, time.perf_counter(), 0.0
