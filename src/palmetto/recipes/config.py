"""What a whole study reads: the configs of its rooms, one seed, and how its energy is reckoned."""

from dataclasses import dataclass, replace

from palmetto.analysis.config import ContaminationConfig, MemorisationConfig, SamplesConfig, ScalingConfig
from palmetto.common.errors import PalmettoError
from palmetto.corpus.config import CorpusConfig
from palmetto.evaluation.config import EvaluationConfig, MadeTasksConfig
from palmetto.model.config import ModelConfig
from palmetto.tokenizer.config import TokenizerConfig
from palmetto.training.config import TrainingConfig


@dataclass(frozen=True)
class EnergyConfig:
    """Stated, not measured, figures behind the report's energy and CO2 (the paper's appendix B states its own)."""

    watts: float = 45.0
    """Power drawn while the study runs."""

    watts_source: str = "assumed: package power of a laptop processor under load; state your machine's"
    """Where `watts` is from; printed with every figure made from it."""

    pue: float = 1.0
    """Power usage effectiveness of the building; 1.08 for the paper's data centre."""

    kg_co2e_per_kwh: float = 0.48
    """Emissions of the electricity."""

    grid_source: str = "assumed: about the world's average for electricity; state your grid's"
    """Where `kg_co2e_per_kwh` is from."""


@dataclass(frozen=True)
class InLoopConfig:
    """The small few-shot evaluation inside training; bits per byte are set in `TrainingConfig`."""

    shots: int = 1
    """Worked examples before each question."""

    n_items: int = 64
    """Items of each task."""


@dataclass(frozen=True)
class StudyConfig:
    """A study: text in, a family of models, their evaluation and analyses, and a report out."""

    name: str
    """Name of the recipe; the study folder is `studies/<name>` unless told otherwise."""

    models: tuple[ModelConfig, ...]
    """The family, smallest first; all with the same vocabulary and sequence length."""

    training: TrainingConfig
    """The same for every size, so that all see the same batches in the same order."""

    corpus: CorpusConfig = CorpusConfig()
    """Where the text comes from and how it is split."""

    tokenizer: TokenizerConfig = TokenizerConfig()
    """The vocabulary; `vocab_size` is the models'."""

    tasks: MadeTasksConfig = MadeTasksConfig()
    """The tasks made from held-out documents."""

    in_loop: InLoopConfig = InLoopConfig()
    """What is evaluated inside training."""

    evaluation: EvaluationConfig = EvaluationConfig()
    """How finished models take the tasks."""

    memorisation: MemorisationConfig = MemorisationConfig()
    """Section 7 of the paper."""

    samples: SamplesConfig = SamplesConfig()
    """Completions for a reader to look at."""

    contamination: ContaminationConfig = ContaminationConfig()
    """Section 8 of the paper."""

    scaling: ScalingConfig = ScalingConfig()
    """Section 6.2 of the paper."""

    energy: EnergyConfig = EnergyConfig()
    """Figures behind energy and CO2."""

    seed: int = 0
    """The study's seed; `with_seed` hands it to every part."""

    def __post_init__(self) -> None:
        if not self.models:
            raise PalmettoError("StudyConfig.models is empty; a study trains at least one model.")
        names = [model.name for model in self.models]
        if len(set(names)) != len(names):
            raise PalmettoError(f"StudyConfig.models has two models of one name: {', '.join(names)}.")
        shared = {
            "vocab_size": {model.vocab_size for model in self.models},
            "sequence_length": {model.sequence_length for model in self.models},
        }
        for field, values in shared.items():
            if len(values) > 1:
                raise PalmettoError(
                    f"StudyConfig.models differ in {field} ({sorted(values)}); a family reads the same batches."
                )
        if self.models[0].vocab_size != self.tokenizer.vocab_size:
            raise PalmettoError(
                f"StudyConfig.tokenizer.vocab_size is {self.tokenizer.vocab_size}, but the models have "
                f"{self.models[0].vocab_size} rows; make them equal."
            )
        if max(self.evaluation.shots, default=0) > self.tasks.n_exemplars:
            raise PalmettoError(
                f"StudyConfig.evaluation.shots asks for {max(self.evaluation.shots)} exemplars and "
                f"tasks.n_exemplars is {self.tasks.n_exemplars}; raise the latter."
            )

    @property
    def sequence_length(self) -> int:
        """Tokens the models see at once."""
        return self.models[0].sequence_length


def with_seed(config: StudyConfig, seed: int) -> StudyConfig:
    """Return the study with `seed` in every part that draws something."""
    return replace(
        config,
        seed=seed,
        training=replace(config.training, seed=seed),
        corpus=replace(config.corpus, seed=seed),
        tokenizer=replace(config.tokenizer, seed=seed),
        tasks=replace(config.tasks, seed=seed),
        evaluation=replace(config.evaluation, seed=seed),
        memorisation=replace(config.memorisation, seed=seed),
        samples=replace(config.samples, seed=seed),
        scaling=replace(config.scaling, seed=seed),
    )


def family(models: tuple[ModelConfig, ...]) -> tuple[ModelConfig, ...]:
    """Return the models with one vocabulary and one sequence length, the largest among them."""
    vocabulary = max(model.vocab_size for model in models)
    length = max(model.sequence_length for model in models)
    return tuple(replace(model, vocab_size=vocabulary, sequence_length=length) for model in models)
