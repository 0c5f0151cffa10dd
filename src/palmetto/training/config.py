"""What a training run reads: its length, batches, optimizer, and how often it saves and looks."""

from dataclasses import dataclass

from palmetto.common.errors import PalmettoError
from palmetto.model.execution import ExecutionConfig
from palmetto.sharding import MeshConfig
from palmetto.training.optimizer import OptimizerConfig
from palmetto.training.schedules import BatchSize
from palmetto.training.spikes import SpikeConfig


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
    """Newest checkpoints kept; besides, those that a rewind may still want."""

    spikes: SpikeConfig = SpikeConfig()
    """How loss spikes are seen and answered."""

    execution: ExecutionConfig = ExecutionConfig()
    """How a step is computed: rematerialisation, attention implementation, dropout."""

    microbatches: int = 1
    """Parts a batch is cut into whose gradients are computed one after the other and added: less memory, equal
    to rounding."""

    read_ahead: int = 2
    """Batches read while a step runs; no effect on results."""

    stuck_after_seconds: float = 600.0
    """A step or an evaluation that takes longer is reported as possibly stuck; compilation counts with the first."""

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
            "microbatches": self.microbatches,
        }
        for field, count in counts.items():
            if count < 1:
                raise PalmettoError(f"TrainingConfig.{field} is {count}; it must be at least 1.")
        if self.read_ahead < 0 or self.stuck_after_seconds <= 0:
            raise PalmettoError(
                "TrainingConfig.read_ahead must be at least 0 and TrainingConfig.stuck_after_seconds above 0."
            )
        if any(size % self.microbatches for size in self.batch_size.sizes):
            raise PalmettoError(
                f"TrainingConfig.microbatches is {self.microbatches}, which does not divide every size of "
                f"batch_size.sizes {self.batch_size.sizes}; choose a divisor of them all."
            )
        remedy = self.spikes
        if remedy.enabled and remedy.skip < remedy.rewind + self.checkpoint_every + remedy.patience:
            raise PalmettoError(
                f"TrainingConfig.spikes.skip is {remedy.skip}; from a checkpoint up to rewind + checkpoint_every - 1 = "
                f"{remedy.rewind + self.checkpoint_every - 1} updates before a spike it would not reach past the "
                f"{remedy.patience} batches that show it. Make it at least "
                f"{remedy.rewind + self.checkpoint_every + remedy.patience}, or checkpoint_every smaller."
            )

    def rewind_target(self, first_step: int) -> int:
        """Return the update whose checkpoint answers a spike that begins at step number `first_step`.

        It is the newest one saved by schedule that lies at least `rewind` updates before the spike; 0 is the start.
        """
        return max(0, (first_step - 1 - self.spikes.rewind) // self.checkpoint_every * self.checkpoint_every)

    def rewind_reach(self) -> int:
        """Return how many updates before the newest one a rewind may go back to, but for rounding to a checkpoint."""
        # One more than the detection takes: the step after a spike is on its way when it is seen.
        return self.spikes.rewind + self.spikes.patience + 1 if self.spikes.enabled else 0

    def sequences(self) -> int:
        """Return the sequences that all steps consume."""
        return self.batch_size.offset(self.steps)
