"""The smallest study that goes through every stage: the drills kill it, starve it and feed it bad input.

palmetto study drills/smoke_study.py:study --out studies/smoke
"""

import sysconfig
from pathlib import Path

from palmetto.analysis.config import MemorisationConfig, SamplesConfig, ScalingConfig
from palmetto.corpus.config import CorpusConfig
from palmetto.evaluation.config import EvaluationConfig, MadeTasksConfig
from palmetto.model.config import ModelConfig
from palmetto.recipes.config import InLoopConfig, StudyConfig
from palmetto.tokenizer.config import TokenizerConfig
from palmetto.training.config import TrainingConfig
from palmetto.training.optimizer import OptimizerConfig
from palmetto.training.schedules import BatchSize, LearningRate

PACKAGES = ("asyncio", "email", "http", "json", "logging")
WIDTHS = (16, 24, 32)
STEPS = 16


def model(width: int) -> ModelConfig:
    return ModelConfig(
        name=f"smoke_{width}",
        n_layers=2,
        d_model=width,
        n_heads=2,
        head_dim=width // 2,
        vocab_size=512,
        sequence_length=128,
    )


def study() -> StudyConfig:
    library = Path(sysconfig.get_paths()["stdlib"])
    return StudyConfig(
        name="smoke",
        models=tuple(model(width) for width in WIDTHS),
        corpus=CorpusConfig(text=tuple(str(library / name) for name in PACKAGES), heldout_fraction=0.2),
        tokenizer=TokenizerConfig(vocab_size=512, max_training_bytes=500_000),
        tasks=MadeTasksConfig(n_items=40, n_exemplars=1),
        training=TrainingConfig(
            steps=STEPS,
            batch_size=BatchSize(sizes=(4,)),
            optimizer=OptimizerConfig(learning_rate=LearningRate(plateau_steps=4)),
            checkpoint_every=4,
            evaluate_every=8,
            heldout_tokens=1024,
            final_heldout_tokens=4096,
        ),
        in_loop=InLoopConfig(n_items=8),
        evaluation=EvaluationConfig(shots=(0, 1), bootstrap_samples=200),
        memorisation=MemorisationConfig(
            n_spans=24, n_heldout=24, spans_per_bin=8, n_candidates=500, prompt_tokens=20, generated_tokens=20
        ),
        samples=SamplesConfig(n_prompts=2, prompt_tokens=12, completions=1, max_new_tokens=24),
        scaling=ScalingConfig(n_samples=500),
    )
