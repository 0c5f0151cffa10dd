"""A tiny run on islands, for tests in one process: its configs, batches, and hosts that share compiled programs."""

from functools import cache
from typing import Any

import jax
import numpy as np

from palmetto.model.config import ModelConfig
from palmetto.pathways.components import Components
from palmetto.pathways.exchange import digest, pack
from palmetto.pathways.host import Host
from palmetto.pathways.islands import IslandsConfig
from palmetto.sharding import make_mesh
from palmetto.training.config import TrainingConfig
from palmetto.training.schedules import BatchSize
from palmetto.training.state import TrainState, initial_state

MODEL = ModelConfig("tiny", n_layers=1, d_model=8, n_heads=2, head_dim=4, vocab_size=32, sequence_length=8)
TRAINING = TrainingConfig(steps=4, batch_size=BatchSize((8,)))
PODS = 4


def islands(number: int = 2, **more: Any) -> IslandsConfig:
    return IslandsConfig(number=number, virtual_pods=PODS, **more)


def batches(steps: int) -> list[np.ndarray]:
    shape = (steps, 8, MODEL.sequence_length + 1)
    return list(np.random.default_rng(0).integers(0, MODEL.vocab_size, shape).astype(np.int32))


@cache
def _drawn() -> TrainState:
    state = initial_state(MODEL, TRAINING.optimizer, make_mesh(TRAINING.mesh), 0)
    return jax.tree.map(np.array, state)


def start() -> TrainState:
    """Return the state before the first step, in memory of its own."""
    return jax.tree.map(jax.numpy.array, _drawn())


@cache
def programs(transfer: Any) -> Components:
    """Compile once for all hosts of a test run."""
    mesh = make_mesh(TRAINING.mesh)
    components = Components(MODEL, TRAINING, TRAINING.execution, islands(transfer=transfer), mesh)
    components.compile(8 // PODS, MODEL.sequence_length + 1)
    return components


class SharedHost(Host):
    """A host whose programs are compiled already."""

    def form(self, rank: int = 0, address: str = "") -> dict[str, Any]:
        facts = super().form(rank, address)
        self._components = programs(self._islands.transfer)
        return {**facts, "pid": 0, "machine": "here"}

    def prepare(self, sequences: int, length: int) -> None:
        assert (sequences, length) == (8 // PODS, MODEL.sequence_length + 1)


def host(config: IslandsConfig) -> Host:
    """Return a host that holds the state before the first step."""
    made = SharedHost(MODEL, TRAINING, config)
    made.form()
    blocks = pack(start())
    made.take(0, digest(blocks), blocks)
    return made


def leaves(state: TrainState) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
