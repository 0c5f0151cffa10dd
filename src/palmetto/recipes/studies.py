"""Whole studies. Copy one into a file of your own to change what no option offers."""

from collections.abc import Callable

from palmetto.recipes.config import StudyConfig, family
from palmetto.recipes.loading import load_recipe
from palmetto.recipes.models import palm_5m, palm_160k, palm_800k
from palmetto.tokenizer.config import TokenizerConfig
from palmetto.training.config import TrainingConfig
from palmetto.training.optimizer import OptimizerConfig
from palmetto.training.schedules import BatchSize, LearningRate
from palmetto.training.spikes import SpikeConfig


def scaled_training(steps: int, sequences: int) -> TrainingConfig:
    """Return the paper's training (section 5), its schedules scaled to a run of `steps` updates.

    PaLM 540B took 255,000 steps: the learning rate held for the first 10,000 and the batch doubled after 50,000 and
    115,000. The same shares of the run are taken here, so that the decay happens; the batch ends at `sequences`.
    Adafactor moves a weight by the learning rate's share of its size, and a few hundred steps at the paper's 1e-2
    move the embedding too little (2.96 bits per byte, against 2.27 at 1e-1: docs/log.md), so the peak is ten times
    the paper's.
    """
    starts = (0, round(steps * 50 / 255), round(steps * 115 / 255))
    sizes = (sequences // 4, sequences // 2, sequences)
    every = max(1, min(25, steps // 4))
    small = sizes[0] < 1 or len(set(starts)) < len(starts)
    return TrainingConfig(
        steps=steps,
        batch_size=BatchSize((sequences,)) if small else BatchSize(sizes, starts),
        optimizer=OptimizerConfig(
            learning_rate=LearningRate(peak=1e-1, plateau_steps=max(1, round(steps * 10 / 255)))
        ),
        checkpoint_every=every,
        # The paper's 100 and 400 are for checkpoints about 100 steps apart.
        spikes=SpikeConfig(rewind=every, skip=4 * every, window=max(10, min(100, steps // 10))),
        evaluate_every=max(1, steps // 5),
    )


def starter() -> StudyConfig:
    """The first three sizes on the interpreter's own standard library: minutes on a laptop's CPU.

    Reads 493,056 tokens a size in 332 steps.
    """
    models = family((palm_160k(), palm_800k(), palm_5m()))
    return StudyConfig(
        name="starter",
        models=models,
        training=scaled_training(steps=332, sequences=8),
        tokenizer=TokenizerConfig(vocab_size=models[0].vocab_size),
    )


STUDIES: dict[str, Callable[[], StudyConfig]] = {"starter": starter}
"""Recipes by name."""


def study_recipe(name: str) -> StudyConfig:
    """Return the study of a recipe name, or of `file.py:function`.

    Raises:
        PalmettoError: there is no such recipe, file or function, or it does not give a `StudyConfig`.
    """
    return load_recipe(name, STUDIES, StudyConfig, "study", default="study")
