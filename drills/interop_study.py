"""Two tiny PaLMs for the programs of others: heads x head size equal to the model's width, and different from it.

palmetto study drills/interop_study.py:study --out studies/interop
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

HEADS = {"equal": 2, "different": 3}
"""Query heads of 16 by model: 2 x 16 is the width of 32, as in palm_8b; 3 x 16 is not, as in palm_540b."""


def model(name: str) -> ModelConfig:
    return ModelConfig(
        name, n_layers=2, d_model=32, n_heads=HEADS[name], head_dim=16, vocab_size=512, sequence_length=128
    )


def study() -> StudyConfig:
    library = Path(sysconfig.get_paths()["stdlib"])
    texts = tuple(str(library / name) for name in ("asyncio", "email", "http", "json", "logging"))
    return StudyConfig(
        name="interop",
        models=tuple(map(model, HEADS)),
        corpus=CorpusConfig(text=texts, heldout_fraction=0.2),
        tokenizer=TokenizerConfig(vocab_size=512, max_training_bytes=500_000),
        tasks=MadeTasksConfig(n_items=60, n_exemplars=1),
        training=TrainingConfig(
            steps=160,
            batch_size=BatchSize(sizes=(4,)),
            optimizer=OptimizerConfig(learning_rate=LearningRate(plateau_steps=40)),
            checkpoint_every=160,
            evaluate_every=160,
            heldout_tokens=1024,
            final_heldout_tokens=1024,
        ),
        in_loop=InLoopConfig(n_items=4),
        evaluation=EvaluationConfig(shots=(0,), bootstrap_samples=100),
        memorisation=MemorisationConfig(
            n_spans=24, n_heldout=24, spans_per_bin=8, n_candidates=500, prompt_tokens=20, generated_tokens=20
        ),
        samples=SamplesConfig(n_prompts=2, prompt_tokens=12, completions=1, max_new_tokens=24),
        scaling=ScalingConfig(n_samples=100),
    )
