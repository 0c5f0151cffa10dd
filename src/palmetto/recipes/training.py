"""How one model is trained: the paper's three runs (sections 4 and 5) and those of the small ladder.

Each function returns a `RunConfig`. Copy one into a file of your own to change what no option offers, and name it as
`palmetto train my_run.py:run`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from palmetto.model.config import ModelConfig
from palmetto.model.counts import count_parameters
from palmetto.model.execution import ExecutionConfig
from palmetto.recipes.loading import load_recipe
from palmetto.recipes.models import LADDER, palm_8b, palm_62b, palm_540b
from palmetto.recipes.studies import scaled_training
from palmetto.training.config import TrainingConfig
from palmetto.training.optimizer import OptimizerConfig
from palmetto.training.schedules import BatchSize
from palmetto.training.spikes import SpikeConfig

TOKENS_PER_PARAMETER = 20
"""What the small ladder reads: about what is compute-optimal. The paper read 90, 13 and 1.4 (8B, 62B, 540B)."""


@dataclass(frozen=True)
class RunConfig:
    """A model and how it is trained."""

    model: ModelConfig
    """The model; its vocabulary and sequence length follow the corpus it is given."""

    training: TrainingConfig
    """The run."""


def _paper(
    model: ModelConfig,
    steps: int,
    sizes: tuple[int, ...],
    starts: tuple[int, ...],
    execution: ExecutionConfig,
) -> RunConfig:
    return RunConfig(
        model,
        TrainingConfig(
            steps=steps,
            batch_size=BatchSize(sizes, starts),
            optimizer=OptimizerConfig(),
            checkpoint_every=100,
            keep_checkpoints=3,
            evaluate_every=1000,
            heldout_tokens=1_000_000,
            final_heldout_tokens=10_000_000,
            spikes=SpikeConfig(rewind=100, skip=400),
            execution=execution,
            stuck_after_seconds=3600.0,
        ),
    )


def palm_540b_run() -> RunConfig:
    """780 B tokens in 255,000 steps; batches of 1, 2 and 4 M tokens (section 5); one activation saved a layer."""
    execution = ExecutionConfig(rematerialisation="full")
    return _paper(palm_540b(), 255_000, (512, 1024, 2048), (0, 50_000, 115_000), execution)


def palm_62b_run() -> RunConfig:
    """795 B tokens (table 2's note), batches of 512 and 1,024 sequences (table 1).

    The paper does not say when the batch doubled; here it does where the 540B's first did.
    """
    execution = ExecutionConfig(rematerialisation="attention")
    return _paper(palm_62b(), 404_000, (512, 1024), (0, 50_000), execution)


def palm_8b_run() -> RunConfig:
    """780 B tokens, batches of 256 and 512 sequences (table 1); the doubling as in `palm_62b_run`."""
    execution = ExecutionConfig(rematerialisation="attention")
    return _paper(palm_8b(), 769_000, (256, 512), (0, 50_000), execution)


def ladder_run(model: ModelConfig) -> RunConfig:
    """Return a run of about 20 tokens a parameter for a model of the small ladder.

    Learning rate, plateau and doublings stand at the paper's shares of the run (`scaled_training`). The largest batch
    is 2 k to 1 M tokens, so that there are some thousands of steps.
    """
    sequences = TOKENS_PER_PARAMETER * count_parameters(model) / model.sequence_length
    batch = 2 ** round(math.log2(min(2**20, max(2**11, sequences * model.sequence_length / 6000))))
    largest = max(4, batch // model.sequence_length)
    # The batch grows on the way: a step reads less than the largest on average.
    share = scaled_training(255, largest).sequences() / (255 * largest)
    training = scaled_training(round(sequences / (largest * share)), largest)
    execution = ExecutionConfig(rematerialisation="full" if count_parameters(model) > 1e9 else "none")
    return RunConfig(
        model,
        replace(
            training,
            checkpoint_every=100,
            spikes=SpikeConfig(),
            evaluate_every=min(1000, training.evaluate_every),
            execution=execution,
        ),
    )


RUNS: dict[str, Callable[[], RunConfig]] = {
    name: partial(ladder_run, recipe()) for name, recipe in LADDER.items()
} | {"palm_8b": palm_8b_run, "palm_62b": palm_62b_run, "palm_540b": palm_540b_run}
"""All runs by the name of their model, smallest first."""


def run_recipe(name: str) -> RunConfig:
    """Return the run of a model of the ladder, or of `file.py:function`.

    Raises:
        PalmettoError: there is no such recipe, file or function, or it does not give a `RunConfig`.
    """
    return load_recipe(name, RUNS, RunConfig, "model", default="run")
