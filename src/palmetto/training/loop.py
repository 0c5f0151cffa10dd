"""The training loop: resume, step, log, look, save; one straight line.

Bits: a run that was killed and started again gives the same parameters as one that was not, because a batch depends
on its index alone and a checkpoint holds everything else.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from palmetto.common.errors import PalmettoError
from palmetto.common.files import canonical_json, read_json, read_json_lines, sha256_bytes, write_json
from palmetto.common.progress import Reporter
from palmetto.corpus.records import PackedRecords
from palmetto.model.config import ModelConfig
from palmetto.model.counts import count_parameters, flops_per_token
from palmetto.model.spec import Parameters, named_parameters
from palmetto.sharding import check_divides, make_mesh
from palmetto.training.batches import Batches
from palmetto.training.checkpoints import Checkpoints, restore_state
from palmetto.training.config import TrainingConfig
from palmetto.training.loading import FORMAT
from palmetto.training.state import abstract_state, initial_state, make_train_step
from palmetto.training.throughput import causal_flops, peak_flops, utilisation
from palmetto.training.trackers import JsonLines, TensorBoard, Tracker

Evaluate = Callable[[Parameters], dict[str, Any]]
"""An in-loop evaluation: weights in, figures for the step's row out. It must not depend on anything else."""


@dataclass(frozen=True)
class Trained:
    """A finished run."""

    parameters: Parameters
    """The final weights, on the devices."""

    facts: dict[str, Any]
    """What `summary.json` says of the run: counts, FLOPs, the hash of the weights, and times under `timing`."""


def open_batches(config: TrainingConfig, records: PackedRecords) -> Batches:
    """Return the run's batches.

    Raises:
        PalmettoError: the recipe asks for more tokens than its epochs of the corpus hold.
    """
    needed, held = config.sequences(), len(records) * config.epochs
    if needed > held:
        raise PalmettoError(
            f"The recipe trains on {needed:,} records of {records.sequence_length} tokens, but the corpus holds "
            f"{len(records):,} and training.epochs is {config.epochs}; give more text, lower training.steps to "
            f"{held * config.steps // needed:,} or fewer, or raise training.epochs."
        )
    return Batches(records, config.batch_size, seed=config.seed, epochs=config.epochs)


def describe(config: ModelConfig, training: TrainingConfig, corpus: dict[str, Any]) -> dict[str, Any]:
    """Return what `config.json` records of a model."""
    return {
        "format": FORMAT,
        "name": config.name,
        "model": {**asdict(config), "d_ff": config.d_ff, "parameters": count_parameters(config)},
        "training": asdict(training),
        "tokenizer_sha256": corpus["tokenizer_sha256"],
        "corpus_hash": corpus["corpus_hash"],
    }


def hash_parameters(parameters: Parameters) -> str:
    """Return the SHA-256 of all weights' bytes, in declared order: equal only for bit-identical models."""
    return sha256_bytes(
        b"".join(np.asarray(jax.device_get(leaf)).tobytes() for leaf in named_parameters(parameters).values())
    )


def train(
    config: ModelConfig,
    training: TrainingConfig,
    corpus: Path,
    out: Path,
    evaluate: Evaluate,
    reporter: Reporter,
) -> Trained:
    """Train one model into `out`, or go on where an interrupted run of the same config stopped.

    Args:
        config: the model.
        training: the run.
        corpus: folder of packed records.
        out: `models/<size>`; gets config.json, metrics.jsonl, tensorboard/, checkpoints/, skipped_batches.json.
        evaluate: called every `evaluate_every` updates and after the last.
        reporter: shows steps, loss and speed.

    Raises:
        PalmettoError: too little text, a mesh that does not divide, a loss that is not finite, another run's
            folder, a checkpoint that cannot be written or is damaged.
    """
    records = PackedRecords(corpus, "train")
    batches = open_batches(training, records)
    mesh = make_mesh(training.mesh)
    check_divides(config, mesh)
    ways = mesh.shape["pod"] * mesh.shape["data"]
    if any(size % ways for size in training.batch_size.sizes):
        raise PalmettoError(
            f"training.batch_size.sizes {training.batch_size.sizes} are divided over {ways} devices (pod x data); make "
            f"each a multiple of {ways}, or set training.mesh.data to a divisor of them."
        )
    _claim(out, describe(config, training, records.manifest))

    flops = flops_per_token(config)
    peak = peak_flops()
    trackers: tuple[Tracker, ...] = (JsonLines(out / "metrics.jsonl"), TensorBoard(out / "tensorboard"))
    with Checkpoints(out / "checkpoints", keep=training.keep_checkpoints) as checkpoints:
        checkpoints.clear_interrupted()
        done = max(checkpoints.steps(), default=0)
        if done:
            state = restore_state(out / "checkpoints", done, abstract_state(config, mesh))
            if done < training.steps:
                reporter.say(f"{config.name}: going on from the checkpoint of step {done:,}.")
        else:
            state = initial_state(config, training.optimizer, mesh, training.seed)
        for tracker in trackers:
            tracker.begin(done)
        train_step = make_train_step(config, training.optimizer, mesh)
        tokens = training.batch_size.offset(batches.index(done)) * config.sequence_length
        try:
            with reporter.bar(f"train {config.name}", training.steps, "steps") as bar:
                bar.advance(done)
                for step in range(done, training.steps):
                    start = time.perf_counter()
                    index = batches.index(step)
                    batch = batches[index]
                    state, metrics = train_step(state, batch)
                    values = {name: float(value) for name, value in metrics._asdict().items()}
                    seconds = time.perf_counter() - start
                    if not np.isfinite(values["loss"]) or not np.isfinite(values["grad_norm"]):
                        raise PalmettoError(
                            f"{config.name}: loss {values['loss']} and gradient norm {values['grad_norm']} at step "
                            f"{step + 1} (batch {index}) are not finite; earlier checkpoints are intact. Lower "
                            "training.optimizer.learning_rate.peak, or change the seed."
                        )
                    fresh = batch.shape[0] * config.sequence_length
                    tokens += fresh
                    speed = fresh / seconds
                    row: dict[str, Any] = {"step": step + 1, "batch": index, "tokens": tokens, **values}
                    row["timing"] = {
                        "seconds": seconds,
                        "tokens_per_second": speed,
                        "mfu": utilisation(speed, flops.model, peak),
                    }
                    last = step + 1 == training.steps
                    if last or (step + 1) % training.evaluate_every == 0:
                        row |= evaluate(state.parameters)
                    for tracker in trackers:
                        tracker.log(row)
                    if last or (step + 1) % training.checkpoint_every == 0:
                        checkpoints.save(step + 1, state)
                    bar.advance()
                    bar.note(f"loss {values['loss']:.3f}  {speed:,.0f} tokens/s")
        finally:
            for tracker in trackers:
                tracker.close()
    return Trained(state.parameters, _facts(config, training, out, tokens, state.parameters))


def _claim(out: Path, described: dict[str, Any]) -> None:
    """Write `config.json`, or check that the folder's is this run's."""
    path = out / "config.json"
    # Through JSON and back: a tuple in the config is a list in the file.
    if path.exists() and canonical_json(read_json(path)) != canonical_json(described):
        raise PalmettoError(f"{path} describes another run; choose another folder, or move this one away.")
    if not (out / "skipped_batches.json").exists():
        write_json(out / "skipped_batches.json", [])
    if not path.exists():
        write_json(path, described)


def _facts(
    config: ModelConfig, training: TrainingConfig, out: Path, tokens: int, parameters: Parameters
) -> dict[str, Any]:
    """Sum the run up from its own log, so that an interrupted run reports like any other."""
    rows = list(read_json_lines(out / "metrics.jsonl"))
    flops, peak = flops_per_token(config), peak_flops()
    seconds = sum(row["timing"]["seconds"] for row in rows)
    # The median leaves out the steps that compiled, and pauses of a shared machine.
    speed = float(np.median([row["timing"]["tokens_per_second"] for row in rows]))
    return {
        "name": config.name,
        "parameters": count_parameters(config),
        "flops_per_token": flops.model,
        "steps": training.steps,
        "tokens": tokens,
        "model_flops": flops.model * tokens,
        "final_loss": rows[-1]["loss"],
        "batches": {"first": 0, "count": len(rows), "skipped": 0},
        "parameters_sha256": hash_parameters(parameters),
        "timing": {
            "seconds": seconds,
            "tokens_per_second": speed,
            "mfu": utilisation(speed, flops.model, peak),
            "mfu_causal": utilisation(speed, causal_flops(flops), peak),
            "peak_flops_per_second": peak.flops_per_second,
            "peak_flops_source": peak.source,
        },
    }
