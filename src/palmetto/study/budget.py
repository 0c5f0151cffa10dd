"""Chooses sizes and tokens for a budget of FLOPs or minutes.

The family is three neighbours of the ladder. Of all such families the largest is taken that still reads at least
a tenth of a token for each parameter of its largest size: the starter's own proportion, at which schedules have
room to decay. The tokens then fill the budget.
"""

import math
from dataclasses import replace

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Reporter
from palmetto.model.config import ModelConfig
from palmetto.model.counts import count_parameters, flops_per_token
from palmetto.recipes.config import StudyConfig, family
from palmetto.recipes.models import LADDER
from palmetto.recipes.studies import scaled_training
from palmetto.study.plan import fixed_seconds, plan_size, state_bytes

TOKENS_PER_PARAMETER = 0.1
_FEWEST_STEPS = 40
# A batch holds at most this share of a run's tokens, so that there are steps enough for a schedule.
_STEPS_AIMED_AT = 240
_SMALLEST_BATCH_TOKENS = 2048


def _families() -> list[tuple[ModelConfig, ...]]:
    models = [recipe() for recipe in LADDER.values()]
    return [family((models[i], models[i + 1], models[i + 2])) for i in range(len(models) - 2)]


def _fitted(config: StudyConfig, models: tuple[ModelConfig, ...], tokens: float) -> StudyConfig:
    """Return the study with this family and about this many tokens a size."""
    length = models[0].sequence_length
    batch_tokens = max(_SMALLEST_BATCH_TOKENS, 2 ** round(math.log2(max(1.0, tokens / _STEPS_AIMED_AT / 4))))
    sequences = max(1, batch_tokens // length)
    # The batch grows on the way, so that a step reads less than a whole batch on average.
    share = scaled_training(_STEPS_AIMED_AT, sequences).sequences() / (_STEPS_AIMED_AT * sequences)
    steps = max(_FEWEST_STEPS, int(tokens // (sequences * length * share)))
    fresh = scaled_training(steps, sequences)
    kept = config.training
    training = replace(fresh, seed=kept.seed, epochs=kept.epochs, mesh=kept.mesh)
    tokenizer = replace(config.tokenizer, vocab_size=models[0].vocab_size)
    return replace(config, models=models, training=training, tokenizer=tokenizer)


def within_flops(config: StudyConfig, flops: float) -> StudyConfig:
    """Return the study whose training takes about `flops` model FLOPs over all sizes.

    Raises:
        PalmettoError: the budget is too small for the smallest family.
    """
    if not 0 < flops < math.inf:
        raise PalmettoError(f"--flops {flops:g} is no budget; give a positive number, such as 3e12.")
    chosen = None
    for models in _families():
        tokens = flops / sum(flops_per_token(model).model for model in models)
        if chosen is None or tokens >= TOKENS_PER_PARAMETER * count_parameters(models[-1]):
            chosen = _fitted(config, models, tokens)
            spent = sum(flops_per_token(model).model for model in models) * chosen.training.sequences()
            if spent * models[0].sequence_length > 1.05 * flops:
                least = spent * models[0].sequence_length
                raise PalmettoError(
                    f"--flops {flops:g} is too little; the smallest family takes {least:.2g}."
                )
    assert chosen is not None
    return chosen


def within_minutes(config: StudyConfig, minutes: float, reporter: Reporter) -> StudyConfig:
    """Return the study that takes about `minutes` on this machine, by real steps measured here.

    Raises:
        PalmettoError: the budget is too small for the smallest family.
    """
    from palmetto.study.hardware import memory_bytes

    if not 0 < minutes < math.inf:
        raise PalmettoError(f"--minutes {minutes:g} is no budget; give a positive number, such as 30.")
    chosen, fastest = None, math.inf
    for models in _families():
        if chosen is not None and state_bytes(models[-1]) > memory_bytes() // 4:
            break
        least_flops = TOKENS_PER_PARAMETER * count_parameters(models[-1]) * flops_per_token(models[-1]).model
        # A larger model runs at no more than twice the rate of the last; what cannot fit is not worth measuring.
        if least_flops > 2 * fastest * 60 * minutes:
            break
        trial = _fitted(config, models, TOKENS_PER_PARAMETER * count_parameters(models[-1]))
        reporter.say(f"measuring {', '.join(model.name for model in models)}")
        plans = [plan_size(model, trial) for model in models]
        around = fixed_seconds(trial) + sum(plan.evaluate_seconds + plan.compile_seconds for plan in plans)
        training = sum(plan.train_seconds - plan.compile_seconds for plan in plans)
        fastest = plans[-1].flops / plans[-1].train_seconds
        # Nine tenths: the estimate must not run over on a machine that slows down a little.
        share = (0.9 * minutes * 60 - around) / training
        enough = share >= 1.0
        if chosen is None and share * trial.training.steps < _FEWEST_STEPS:
            least = (around + training * _FEWEST_STEPS / trial.training.steps) / 54
            raise PalmettoError(
                f"--minutes {minutes:g} is too little here; the smallest family takes {least:.0f} minutes."
            )
        if chosen is None or enough:
            tokens = share * trial.training.sequences() * models[0].sequence_length
            chosen = _fitted(config, models, tokens)
        if not enough:
            break
    assert chosen is not None
    return chosen
