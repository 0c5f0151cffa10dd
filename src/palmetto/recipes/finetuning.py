"""How the paper finetunes: SuperGLUE and PaLM-Coder in section 6, generation in 6.6, question answering in 6.7."""

from dataclasses import dataclass

from palmetto.common.errors import PalmettoError
from palmetto.model.execution import ExecutionConfig, Rematerialisation
from palmetto.sharding import MeshConfig
from palmetto.training.config import TrainingConfig
from palmetto.training.optimizer import OptimizerConfig
from palmetto.training.schedules import BatchSize, LearningRate
from palmetto.training.spikes import SpikeConfig

LEARNING_RATE = 5e-5
"""Constant (section 6.6, where it is called 20 times smaller than pretraining's; the same in 6.7)."""

BATCH_SIZE = 32
"""Examples a batch (section 6.7, and SuperGLUE's)."""

DROPOUT = 0.1
"""Of most of the paper's finetuning (section 5)."""

DEFAULT_EPOCHS = 3
"""The paper gives steps, usually fewer than 15,000, and takes the checkpoint that is best on validation examples."""

_LOOKS = 10


@dataclass(frozen=True)
class FinetuningConfig:
    """What may be chosen of a finetuning run; the rest is the paper's."""

    steps: int | None = None
    """Optimizer updates; or give `epochs`."""

    epochs: float | None = None
    """How often the data is read; 3 when neither is given."""

    batch_size: int = BATCH_SIZE
    """Examples, or records of text, a batch."""

    learning_rate: float = LEARNING_RATE
    """Constant; each weight moves by about this share of its own size a step. The paper's 5e-5 is for its sizes and
    thousands of steps; small models and short runs need more (docs/finetuning.md)."""

    dropout: float = 0.0
    """Share of activations dropped; 0.1 in most of the paper's finetuning."""

    seed: int = 0
    """Of the split, the order of examples and dropout."""

    evaluate_every: int | None = None
    """Updates between looks at the validation examples; a tenth of the run unless given."""

    checkpoint_every: int | None = None
    """Updates between checkpoints; as often as it looks unless given."""

    microbatches: int = 1
    """Parts of a batch whose gradients are computed one after the other: less memory."""

    rematerialisation: Rematerialisation = "none"
    """What the backward pass computes again to save memory."""

    mesh: MeshConfig = MeshConfig()
    """Devices along each mesh axis."""


def finetuning(config: FinetuningConfig, records: int) -> TrainingConfig:
    """Return the run that finetunes on `records` examples or packed records.

    Adafactor begins anew when the run starts with `Start(reset_optimizer=True)`. The spike remedy is off: the paper
    names it for pretraining only, and a finetuning run has no 400 batches to leave out. A loss that is not finite
    ends the run.

    Raises:
        PalmettoError: steps and epochs are both given, too few for one update, or another setting is out of range.
    """
    if config.steps is not None and config.epochs is not None:
        raise PalmettoError("--steps and --epochs are both given; give one.")
    if config.batch_size < 1:
        raise PalmettoError(f"--batch-size is {config.batch_size}; it must be at least 1.")
    if config.steps is not None:
        steps = config.steps
    else:
        steps = (
            int(records * (DEFAULT_EPOCHS if config.epochs is None else config.epochs)) // config.batch_size
        )
        if steps < 1:
            raise PalmettoError(
                f"{records} records give no whole batch of {config.batch_size}; lower --batch-size or raise --epochs."
            )
    if config.evaluate_every is not None and config.evaluate_every < 1:
        raise PalmettoError(f"--evaluate-every is {config.evaluate_every}; it must be at least 1.")
    look = max(1, steps // _LOOKS) if config.evaluate_every is None else config.evaluate_every
    return TrainingConfig(
        steps=steps,
        batch_size=BatchSize(sizes=(config.batch_size,)),
        optimizer=OptimizerConfig(
            learning_rate=LearningRate(peak=config.learning_rate, plateau_steps=max(1, steps))
        ),
        epochs=max(1, -(-steps * config.batch_size // records)),
        checkpoint_every=look if config.checkpoint_every is None else config.checkpoint_every,
        spikes=SpikeConfig(enabled=False),
        execution=ExecutionConfig(rematerialisation=config.rematerialisation, dropout=config.dropout),
        microbatches=config.microbatches,
        evaluate_every=look,
        mesh=config.mesh,
        seed=config.seed,
    )
