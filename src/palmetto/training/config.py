"""What a training run reads: its length, batches, optimizer, and how often it saves and looks."""

from dataclasses import dataclass

from palmetto.common.errors import PalmettoError
from palmetto.sharding import MeshConfig
from palmetto.training.optimizer import OptimizerConfig
from palmetto.training.schedules import BatchSize


@dataclass(frozen=True)
class TrainingConfig:
    """One training run. Every size of a family is given the same, so all see the same batches in the same order."""

    steps: int
    """Optimizer updates."""

    batch_size: BatchSize
    """Sequences a batch, by batch index."""

    optimizer: OptimizerConfig = OptimizerConfig()
    """PaLM's Adafactor and its schedule."""

    epochs: int = 1
    """How often the corpus may be read; the paper reads it once. More is announced and recorded."""

    checkpoint_every: int = 25
    """Updates between checkpoints; the last update is always saved."""

    keep_checkpoints: int = 2
    """Newest checkpoints kept."""

    evaluate_every: int = 50
    """Updates between in-loop evaluations; the last update is always evaluated."""

    heldout_tokens: int = 16_384
    """Held-out tokens (of whole documents, at least one) for the bits per byte measured in the loop."""

    final_heldout_tokens: int = 65_536
    """Held-out tokens for the bits per byte measured once at the end."""

    mesh: MeshConfig = MeshConfig()
    """Devices along each mesh axis."""

    seed: int = 0
    """Seeds the initial weights and the order of the records."""

    def __post_init__(self) -> None:
        counts = {
            "steps": self.steps,
            "epochs": self.epochs,
            "checkpoint_every": self.checkpoint_every,
            "keep_checkpoints": self.keep_checkpoints,
            "evaluate_every": self.evaluate_every,
        }
        for field, count in counts.items():
            if count < 1:
                raise PalmettoError(f"TrainingConfig.{field} is {count}; it must be at least 1.")

    def sequences(self) -> int:
        """Return the sequences that all steps consume."""
        return self.batch_size.offset(self.steps)
