"""A run for the drills of `palmetto launch`: two layers, 40 steps, a checkpoint every five."""

from palmetto.model.config import ModelConfig
from palmetto.recipes.training import RunConfig
from palmetto.training.config import TrainingConfig
from palmetto.training.optimizer import OptimizerConfig
from palmetto.training.schedules import BatchSize, LearningRate
from palmetto.training.spikes import SpikeConfig

STEPS, EVERY = 40, 5


def run() -> RunConfig:
    return RunConfig(
        ModelConfig(
            "small", n_layers=2, d_model=32, n_heads=2, head_dim=16, vocab_size=512, sequence_length=64
        ),
        TrainingConfig(
            steps=STEPS,
            batch_size=BatchSize((8,), (0,)),
            optimizer=OptimizerConfig(learning_rate=LearningRate(peak=0.1, plateau_steps=10)),
            checkpoint_every=EVERY,
            evaluate_every=20,
            heldout_tokens=1024,
            final_heldout_tokens=4096,
            spikes=SpikeConfig(rewind=5, skip=14, window=15),
        ),
    )
