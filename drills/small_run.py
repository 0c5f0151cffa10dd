"""A small run for the training drills: two layers, 120 steps, a checkpoint every ten; under ten seconds on a CPU."""

from palmetto.model.config import ModelConfig
from palmetto.recipes.training import RunConfig
from palmetto.training.config import TrainingConfig
from palmetto.training.optimizer import OptimizerConfig
from palmetto.training.schedules import BatchSize, LearningRate
from palmetto.training.spikes import SpikeConfig

STEPS, EVERY = 120, 10


def run() -> RunConfig:
    return RunConfig(
        ModelConfig(
            "small", n_layers=2, d_model=32, n_heads=2, head_dim=16, vocab_size=512, sequence_length=64
        ),
        TrainingConfig(
            steps=STEPS,
            batch_size=BatchSize((8, 16), (0, 60)),
            optimizer=OptimizerConfig(learning_rate=LearningRate(peak=0.1, plateau_steps=10)),
            checkpoint_every=EVERY,
            evaluate_every=40,
            heldout_tokens=1024,
            final_heldout_tokens=4096,
            spikes=SpikeConfig(rewind=10, skip=30, window=30),
        ),
    )
