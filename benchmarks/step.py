"""Times one training step of the starter family and prints tokens/s and MFU against the measured peak.

Run: python benchmarks/step.py [sequences a batch]. Medians of 9 steps after compilation, all sizes in one run.
"""

import sys
import time

import numpy as np

from palmetto.model.counts import flops_per_token
from palmetto.recipes.studies import starter
from palmetto.sharding import MeshConfig, make_mesh
from palmetto.training.state import initial_state, make_train_step
from palmetto.training.throughput import peak_flops, utilisation

STEPS = 9


def main() -> None:
    sequences = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    config, mesh, peak = starter(), make_mesh(MeshConfig(data=1)), peak_flops()
    print(f"peak {peak.flops_per_second / 1e9:.0f} GFLOP/s ({peak.source}); {sequences} sequences a batch")
    for model in config.models:
        state = initial_state(model, config.training.optimizer, mesh, 0)
        step = make_train_step(model, config.training.optimizer, mesh)
        shape = (sequences, model.sequence_length + 1)
        batch = np.random.default_rng(0).integers(0, model.vocab_size, shape, np.int32)
        seconds = []
        for _ in range(STEPS + 1):
            start = time.perf_counter()
            state, metrics = step(state, batch)
            metrics.loss.block_until_ready()
            seconds.append(time.perf_counter() - start)
        speed = sequences * model.sequence_length / float(np.median(seconds[1:]))
        used = utilisation(speed, flops_per_token(model).model, peak)
        print(
            f"{model.name:10} {1e3 * np.median(seconds[1:]):7.1f} ms {speed:9,.0f} tokens/s  MFU {used:.1%}"
        )


if __name__ == "__main__":
    main()
