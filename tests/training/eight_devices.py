"""Run by `test_eight_devices.py` in a process of its own, where the CPU poses as eight devices.

    XLA_FLAGS=--xla_force_host_platform_device_count=8 python eight_devices.py FOLDER

Takes three updates on one device, saves the state, restores it on every mesh of eight devices, takes one more step
on each, and prints as JSON how far every figure is from the single device's.
"""

import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from palmetto.common.files import write_json, write_json_lines
from palmetto.model.config import ModelConfig
from palmetto.model.execution import ExecutionConfig
from palmetto.sharding import MeshConfig, batch_sharding, check_divides, make_mesh
from palmetto.training.checkpoints import Checkpoints, restore_state
from palmetto.training.heldout import HeldoutText
from palmetto.training.optimizer import OptimizerConfig
from palmetto.training.state import abstract_state, gradients, initial_state, make_train_step

# Rows that no number of devices divides, and a last chunk that is shorter than the others.
CONFIG = ModelConfig("tiny", n_layers=2, d_model=16, n_heads=8, head_dim=4, vocab_size=33, sequence_length=10)
EXECUTION = ExecutionConfig(rematerialisation="full", loss_chunk=4)
OPTIMIZER = OptimizerConfig()
MESHES = [
    (8 // data // model, data, model) for data in (1, 2, 4, 8) for model in (1, 2, 4, 8) if data * model <= 8
]


def distance(tree: Any, oracle: Any) -> float:
    """The largest relative distance of any leaf, in the norm of the leaf."""
    pairs = zip(jax.tree.leaves(jax.device_get(tree)), jax.tree.leaves(jax.device_get(oracle)), strict=True)
    return max(
        float(np.linalg.norm(np.ravel(a - b)) / max(np.linalg.norm(np.ravel(b)), 1e-30)) for a, b in pairs
    )


def saved_columns(hlo: str, ways: Any) -> int:
    """The columns, on one device, of the residual streams [L, B, S, D] that the program keeps for the backward pass."""
    sequences = 8 // (ways["pod"] * ways["data"])
    kept = re.findall(rf"f32\[{CONFIG.n_layers},{sequences},{CONFIG.sequence_length},(\d+)\]", hlo)
    return max(map(int, kept))


def heldout_text(folder: Path) -> HeldoutText:
    """Two documents of random tokens, of more windows than devices and no whole number of them."""
    tokens = np.random.default_rng(1).integers(1, CONFIG.vocab_size, 137).astype("<u2")
    tokens[[90, -1]] = 0
    folder.mkdir()
    tokens.tofile(folder / "heldout.tokens")
    rows = [("a", 0, 91), ("b", 91, 46)]
    write_json_lines(
        folder / "heldout.documents.jsonl.gz",
        [{"id": name, "source": "s", "start": start, "tokens": n, "bytes": n} for name, start, n in rows],
    )
    length = {"sequence_length": CONFIG.sequence_length, "record_length": CONFIG.sequence_length + 1}
    counts = {"heldout_records": 137 // length["record_length"], "heldout_tokens": 137}
    write_json(folder / "manifest.json", {"format": 1, "dtype": "uint16", **length, **counts})
    return HeldoutText(folder, 0, 1000)


def main(folder: Path) -> dict[str, dict[str, float]]:
    """Return distances by mesh."""
    one = make_mesh(MeshConfig(data=1), jax.devices()[:1])
    records = np.random.default_rng(0).integers(0, CONFIG.vocab_size, (4, 8, 11)).astype(np.int32)
    state = initial_state(CONFIG, OPTIMIZER, one, seed=0)
    drawn = jax.device_get(state)
    step = make_train_step(CONFIG, OPTIMIZER, one, EXECUTION)
    for batch in records[:3]:
        state, _ = step(state, batch)
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(3, state)
    saved = jax.device_get(state)
    gradient = jax.jit(partial(gradients, config=CONFIG, execution=EXECUTION))
    oracle_gradient, _ = jax.device_get(gradient(state.parameters, records[3]))
    heldout = heldout_text(folder.with_name("heldout"))
    oracle_nats = heldout.measure(state.parameters, CONFIG).nats
    oracle_state, oracle_metrics = jax.device_get(step(state, records[3]))

    report: dict[str, dict[str, float]] = {}
    for ways in MESHES:
        mesh = make_mesh(MeshConfig(*ways))
        check_divides(CONFIG, mesh)
        restored = restore_state(folder, 3, abstract_state(CONFIG, mesh))
        held = restored.parameters.blocks.w_gate.addressable_shards[0].data.size
        batch = jax.device_put(records[3], batch_sharding(mesh))
        with jax.set_mesh(mesh):
            found, _ = gradient(restored.parameters, batch)
        figures = {
            "devices": mesh.size,
            "w_gate_share": held / saved.parameters.blocks.w_gate.size,
            "restored": distance(restored, saved),
            "initial": distance(initial_state(CONFIG, OPTIMIZER, mesh, seed=0), drawn),
            "gradient": distance(found, oracle_gradient),
            "heldout": distance(heldout.measure(restored.parameters, CONFIG).nats, oracle_nats),
        }
        step = make_train_step(CONFIG, OPTIMIZER, mesh, EXECUTION)
        figures["saved_columns"] = saved_columns(step.lower(restored, batch).compile().as_text(), mesh.shape)
        after, metrics = step(restored, batch)
        report["x".join(map(str, ways))] = figures | {
            "metrics": distance(metrics, oracle_metrics),
            "state": distance(after, oracle_state),
            "moved": distance(after.parameters, saved.parameters),
        }
    return report


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
