"""Run by `test_eight_devices.py` in a process of its own, where the CPU poses as eight devices.

    XLA_FLAGS=--xla_force_host_platform_device_count=8 python eight_devices.py FOLDER

Takes three updates on one device, saves the state, restores it on three meshes of eight, takes one more step on
each, and prints as JSON how far every figure is from the single device's.
"""

import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

from palmetto.model.config import ModelConfig
from palmetto.sharding import MeshConfig, batch_sharding, check_divides, make_mesh
from palmetto.training.checkpoints import Checkpoints, restore_state
from palmetto.training.optimizer import OptimizerConfig
from palmetto.training.state import abstract_state, gradients, initial_state, make_train_step

CONFIG = ModelConfig("tiny", n_layers=1, d_model=16, n_heads=2, head_dim=4, vocab_size=32, sequence_length=8)
OPTIMIZER = OptimizerConfig()
MESHES = {"2x4x1": MeshConfig(2, 4, 1), "1x4x2": MeshConfig(1, 4, 2), "2x2x2": MeshConfig(2, 2, 2)}


def distance(tree: Any, oracle: Any) -> float:
    """The largest relative distance of any leaf, in the norm of the leaf."""
    pairs = zip(jax.tree.leaves(jax.device_get(tree)), jax.tree.leaves(jax.device_get(oracle)), strict=True)
    return max(
        float(np.linalg.norm(np.ravel(a - b)) / max(np.linalg.norm(np.ravel(b)), 1e-30)) for a, b in pairs
    )


def main(folder: Path) -> dict[str, dict[str, float]]:
    """Return distances by mesh."""
    one = make_mesh(MeshConfig(data=1), jax.devices()[:1])
    records = np.random.default_rng(0).integers(0, 32, (4, 8, 9)).astype(np.int32)
    state = initial_state(CONFIG, OPTIMIZER, one, seed=0)
    drawn = jax.device_get(state)
    step = make_train_step(CONFIG, OPTIMIZER, one)
    for batch in records[:3]:
        state, _ = step(state, batch)
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(3, state)
    saved = jax.device_get(state)
    oracle_gradient, _ = jax.jit(gradients, static_argnums=2)(state.parameters, records[3], CONFIG)
    oracle_gradient = jax.device_get(oracle_gradient)
    oracle_state, oracle_metrics = jax.device_get(step(state, records[3]))

    report: dict[str, dict[str, float]] = {}
    for name, mesh_config in MESHES.items():
        mesh = make_mesh(mesh_config)
        check_divides(CONFIG, mesh)
        restored = restore_state(folder, 3, abstract_state(CONFIG, mesh))
        held = restored.parameters.blocks.w_gate.addressable_shards[0].data.size
        batch = jax.device_put(records[3], batch_sharding(mesh))
        report[name] = {
            "devices": mesh.size,
            "w_gate_share": held / saved.parameters.blocks.w_gate.size,
            "restored": distance(restored, saved),
        }
        if min(mesh.devices.shape) > 1:  # once is enough: these two programs are the slow ones to compile
            report[name]["initial"] = distance(initial_state(CONFIG, OPTIMIZER, mesh, seed=0), drawn)
            gradient, _ = jax.jit(gradients, static_argnums=2)(restored.parameters, batch, CONFIG)
            report[name]["gradient"] = distance(gradient, oracle_gradient)
        after, metrics = make_train_step(CONFIG, OPTIMIZER, mesh)(restored, batch)
        report[name] |= {
            "metrics": distance(metrics, oracle_metrics),
            "state": distance(after, oracle_state),
            "moved": distance(after.parameters, saved.parameters),
        }
    return report


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
