"""What a study will do and cost, before it does it: `palmetto study --dry-run` and the budgets.

Speed is measured where it can be: a few real training steps of every size that fits this machine's memory. What
cannot be measured is reckoned from the machine's peak at a stated share and marked so.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from palmetto.common.progress import Reporter
from palmetto.model.config import ModelConfig
from palmetto.model.counts import count_parameters, flops_per_token
from palmetto.recipes.config import StudyConfig
from palmetto.study.hardware import memory_bytes

_ASSUMED_UTILISATION = 0.4
# Weights, two moments and gradients, float32.
_STATE_BYTES = 16
# Python, JAX, lm_eval and compiled programs, as seen on a 2-core CPU.
_BASE_BYTES = 1_200_000_000
_REPORT_BYTES = 8_000_000


@dataclass(frozen=True)
class SizePlan:
    """What one size will take."""

    name: str
    parameters: int
    tokens: int
    flops: float
    step_seconds: float  # one training step at the first batch size
    compile_seconds: float
    measured: bool  # else reckoned from the peak
    train_seconds: float
    evaluate_seconds: float
    memory_bytes: int
    disk_bytes: int


def state_bytes(model: ModelConfig) -> int:
    """Return the bytes that training keeps for the whole run: weights, moments, gradients."""
    return _STATE_BYTES * count_parameters(model)


def _activation_bytes(model: ModelConfig, sequences: int) -> int:
    """Roughly what a step holds at its widest: block activations and attention weights, and the logits."""
    tokens = sequences * model.sequence_length
    block = 4 * model.d_model + 3 * model.d_ff + 2 * model.n_heads * (model.sequence_length + model.head_dim)
    return 4 * tokens * (model.n_layers * block + 3 * model.vocab_size)


def _measure(model: ModelConfig, config: StudyConfig) -> tuple[float, float]:
    """Return (seconds a step, seconds to compile) of real training steps on random tokens."""
    from palmetto.sharding import make_mesh
    from palmetto.training.state import initial_state, make_train_step

    training = config.training
    mesh = make_mesh(training.mesh)
    state = initial_state(model, training.optimizer, mesh, 0)
    step = make_train_step(model, training.optimizer, mesh)
    shape = (training.batch_size.size(0), model.sequence_length + 1)
    batch = np.random.default_rng(0).integers(0, model.vocab_size, shape, np.int32)
    times = []
    for _ in range(4):
        start = time.perf_counter()
        state, metrics = step(state, batch)
        metrics.loss.block_until_ready()
        times.append(time.perf_counter() - start)
    fastest = min(times[1:])
    return fastest, max(0.0, times[0] - fastest)


def plan_size(model: ModelConfig, config: StudyConfig) -> SizePlan:
    """Reckon one size's time, memory and disk."""
    from palmetto.training.throughput import peak_flops

    training = config.training
    flops = flops_per_token(model)
    sequences = training.batch_size.size(0)
    tokens = training.sequences() * model.sequence_length
    memory = _BASE_BYTES + state_bytes(model) + _activation_bytes(model, training.batch_size.largest())
    measured = memory < memory_bytes() // 2
    if measured:
        step, compiling = _measure(model, config)
    else:
        rate = peak_flops().flops_per_second * _ASSUMED_UTILISATION
        step, compiling = sequences * model.sequence_length * flops.model / rate, 60.0
    per_token = step / (sequences * model.sequence_length)
    # A forward pass is a third of a step. Tasks: what is left of a request once its prefix is shared, and packing.
    length = min(model.sequence_length, config.tasks.max_request_tokens)
    asked = config.tasks.n_items * 3 * len(config.evaluation.shots) * 0.55 * length
    looks = training.steps // training.evaluate_every + 1
    seen = (
        looks * (training.heldout_tokens + 3 * config.in_loop.n_items * 0.6 * length)
        + training.final_heldout_tokens
    )
    memorised = (config.memorisation.n_spans + config.memorisation.n_heldout) * 100
    evaluating = (asked + 4 * memorised) * per_token / 3 + 4 * compiling + 3
    weights = 4 * count_parameters(model)
    return SizePlan(
        name=model.name,
        parameters=count_parameters(model),
        tokens=tokens,
        flops=flops.model * tokens,
        step_seconds=step,
        compile_seconds=compiling,
        measured=measured,
        train_seconds=tokens * per_token + compiling + seen * per_token / 3,
        evaluate_seconds=evaluating,
        memory_bytes=memory,
        disk_bytes=3 * weights * (training.keep_checkpoints + 1),
    )


def fixed_seconds(config: StudyConfig) -> float:
    """Return the seconds of the stages that do not depend on the models: text, tokenizer, tasks, report."""
    return 25.0 + config.tokenizer.max_training_bytes / 4e6


def print_plan(config: StudyConfig, study: Path, reporter: Reporter) -> None:
    """Print stages, tokens, estimated time, memory and disk. Nothing is written."""
    from palmetto.study.run import StudyRun

    plans = []
    with reporter.bar("measure a few steps", len(config.models), "sizes") as bar:
        for model in config.models:
            plans.append(plan_size(model, config))
            bar.advance()
    console = Console(width=None if sys.stdout.isatty() else 120)
    stages = StudyRun(config, study, reporter).stages()
    console.print(f"Study {config.name!r} in {study}: {len(stages)} stages", highlight=False)
    for number, stage in enumerate(stages, start=1):
        console.print(f"  {number:2}. {stage.name:22} -> {study / stage.folder}", highlight=False)
    table = Table(title="The family")
    for heading in ("size", "parameters", "tokens", "FLOPs", "training", "evaluation", "memory", "disk"):
        table.add_column(heading, justify="left" if heading == "size" else "right")
    for plan in plans:
        mark = "" if plan.measured else " *"
        table.add_row(
            plan.name,
            f"{plan.parameters:,}",
            f"{plan.tokens:,}",
            f"{plan.flops:.2e}",
            f"{_time(plan.train_seconds)}{mark}",
            f"{_time(plan.evaluate_seconds)}{mark}",
            f"{plan.memory_bytes / 1e9:.1f} GB",
            f"{plan.disk_bytes / 1e6:,.0f} MB",
        )
    console.print(table)
    total = fixed_seconds(config) + sum(plan.train_seconds + plan.evaluate_seconds for plan in plans)
    disk = _REPORT_BYTES + 150e6 + sum(plan.disk_bytes for plan in plans)
    lines = [
        f"Text: {', '.join(config.corpus.text) or 'the standard library of this Python'}; every size reads the same "
        f"{config.training.steps:,} batches, {plans[0].tokens:,} tokens.",
        f"Estimated: {_time(total)} in all, {max(plan.memory_bytes for plan in plans) / 1e9:.1f} GB of memory, "
        f"{disk / 1e6:,.0f} MB of disk. Times come from real steps on this machine as it is now.",
    ]
    if any(not plan.measured for plan in plans):
        lines.append(
            f"* not measured, since it would not fit well in {memory_bytes() / 1e9:.0f} GB of memory: reckoned at "
            f"{_ASSUMED_UTILISATION:.0%} of the peak."
        )
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.0f} h"
