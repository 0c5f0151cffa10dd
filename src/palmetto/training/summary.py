"""A finished run in figures: what `config.json` says before it and `summary.json` after it."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from palmetto.common.files import read_json_lines
from palmetto.model.config import ModelConfig
from palmetto.model.counts import count_parameters, flops_per_token
from palmetto.model.spec import Parameters, named_parameters
from palmetto.training.config import TrainingConfig
from palmetto.training.loading import FORMAT
from palmetto.training.processes import whole
from palmetto.training.throughput import causal_flops, peak_flops, utilisation


def describe(config: ModelConfig, training: TrainingConfig, data: dict[str, Any]) -> dict[str, Any]:
    """Return what `config.json` records of a model; `data` is `TrainingData.facts`, and where a run starts from."""
    return {
        "format": FORMAT,
        "name": config.name,
        "model": {**asdict(config), "d_ff": config.d_ff, "parameters": count_parameters(config)},
        "training": asdict(training),
        **data,
    }


def hash_parameters(parameters: Parameters) -> str:
    """Return the SHA-256 of all weights' bytes, in declared order: equal only for bit-identical models.

    Of several processes each takes part.
    """
    digest = hashlib.sha256()
    for leaf in named_parameters(parameters).values():
        digest.update(whole(leaf).tobytes())
    return digest.hexdigest()


def summarise(
    config: ModelConfig, training: TrainingConfig, out: Path, parameters_sha256: str, attention: str
) -> dict[str, Any]:
    """Sum a run up from its own log, so that an interrupted run reports like any other.

    Of a run that rewound, the steps that were given up are not in the log, nor in its times.
    """
    rows = list(read_json_lines(out / "metrics.jsonl"))
    flops = flops_per_token(config, training.execution.rematerialisation)
    peak = peak_flops()
    tokens = rows[-1]["tokens"]
    timings = [row["timing"] for row in rows]
    seconds = sum(timing["seconds"] for timing in timings)
    # The median leaves out the steps that compiled, and pauses of a shared machine.
    speed = float(np.median([timing["tokens_per_second"] for timing in timings]))
    # Batches are numbered from 0 with those left out among them.
    skipped = rows[-1]["batch"] + 1 - len(rows)
    return {
        "name": config.name,
        "parameters": count_parameters(config),
        "flops_per_token": flops.model,
        "steps": training.steps,
        "tokens": tokens,
        "model_flops": flops.model * tokens,
        "final_loss": rows[-1]["loss"],
        "batches": {"first": 0, "count": len(rows), "skipped": skipped},
        "attention": attention,
        "rematerialisation": training.execution.rematerialisation,
        "parameters_sha256": parameters_sha256,
        "timing": {
            "seconds": seconds,
            "tokens_per_second": speed,
            "mfu": utilisation(speed, flops.model, peak),
            "hfu": utilisation(speed, flops.hardware, peak),
            "mfu_causal": utilisation(speed, causal_flops(flops), peak),
            "peak_flops_per_second": peak.flops_per_second,
            "peak_flops_source": peak.source,
            "checkpoint_wait_share": sum(timing.get("checkpoint_seconds", 0.0) for timing in timings)
            / seconds,
        },
    }
