"""Measures what the training loop adds to the bare compiled step: loader, logging, spike detector, watchdog.

Run: python benchmarks/overhead.py [SIZE] [STEPS] [ROUNDS], by default palm_800k 60 3. Loop and bare steps take turns
in one process on the same batches. The bare step is called back to back on batches already in memory; the loop is
`training.loop.train` itself, reading packed records from a disk and writing metrics.jsonl and TensorBoard events,
without evaluations and checkpoints, which are priced by their own periods. The target is below 2 % of the step.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

from palmetto.common.files import read_json_lines, write_json
from palmetto.common.progress import Silent
from palmetto.model.config import ModelConfig
from palmetto.recipes.models import model_recipe
from palmetto.sharding import make_mesh
from palmetto.training.config import TrainingConfig
from palmetto.training.data import TrainingData, open_batches
from palmetto.training.loop import train
from palmetto.training.schedules import BatchSize
from palmetto.training.state import initial_state, make_train_step

SEQUENCES = 8
WARM_UP = 4  # steps left out at the start of a turn, compilation among them


def pack(folder: Path, config: ModelConfig, records: int) -> Path:
    """Write a packed corpus of random tokens."""
    folder.mkdir()
    length = config.sequence_length + 1
    tokens = np.random.default_rng(0).integers(0, config.vocab_size, records * length)
    tokens.astype("<u2").tofile(folder / "train.tokens")
    manifest = {
        "format": 1,
        "sequence_length": config.sequence_length,
        "record_length": length,
        "dtype": "uint16",
        "train_records": records,
        "train_tokens": records * length,
        "tokenizer_sha256": "",
        "corpus_hash": "",
    }
    write_json(folder / "manifest.json", manifest)
    return folder


def bare(config: ModelConfig, training: TrainingConfig, data: TrainingData) -> list[float]:
    """Return the seconds of every step, called back to back as the loop calls it: one is in flight at a time."""
    mesh = make_mesh(training.mesh)
    step = make_train_step(config, training.optimizer, mesh, training.execution)
    state = initial_state(config, training.optimizer, mesh, training.seed)
    batches = open_batches(training, data)
    held = [batches[index] for index in range(training.steps)]
    seconds, clock, before = [], time.perf_counter(), None
    for records in held:
        state, metrics = step(state, records)
        if before is not None:
            jax.block_until_ready(before)
            now = time.perf_counter()
            seconds.append(now - clock)
            clock = now
        before = metrics
    return seconds[WARM_UP:]


def looped(config: ModelConfig, training: TrainingConfig, data: TrainingData, out: Path) -> list[float]:
    """Return the seconds of every step of the training loop, by its own clock; the last one saves, and is left out."""
    train(config, training, data, out, lambda parameters: {}, Silent())
    return [row["timing"]["seconds"] for row in read_json_lines(out / "metrics.jsonl")][WARM_UP:-1]


def main() -> None:
    name, steps, rounds, *_ = [*sys.argv[1:], *("palm_800k", "60", "3")[len(sys.argv) - 1 :]]
    config = model_recipe(name)
    training = TrainingConfig(
        steps=int(steps),
        batch_size=BatchSize(sizes=(SEQUENCES,)),
        checkpoint_every=int(steps),
        evaluate_every=int(steps),
    )
    print(f"{name}: {SEQUENCES} sequences of {config.sequence_length} tokens, {steps} steps, {rounds} rounds")
    with tempfile.TemporaryDirectory() as place:
        data = TrainingData.packed([pack(Path(place) / "corpus", config, SEQUENCES * int(steps))])
        shares, least = [], [float("inf"), float("inf")]
        for number in range(int(rounds)):
            inside = looped(config, training, data, Path(place) / f"run{number}")
            alone = bare(config, training, data)
            shares.append(float(np.median(inside) / np.median(alone)) - 1.0)
            least = [min(least[0], *inside), min(least[1], *alone)]
            print(
                f"round {number + 1}: loop {1e3 * np.median(inside):.1f} ms, bare {1e3 * np.median(alone):.1f} ms "
                f"a step (medians): {shares[-1]:+.1%}; load average {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    print(f"overhead of the loop: median of rounds {np.median(shares):+.1%}, of the fastest steps ", end="")
    print(f"{least[0] / least[1] - 1.0:+.1%} ({1e3 * least[0]:.1f} against {1e3 * least[1]:.1f} ms)")


if __name__ == "__main__":
    main()
