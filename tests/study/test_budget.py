"""Sizes and tokens for a budget."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Silent
from palmetto.model.counts import count_parameters, flops_per_token
from palmetto.recipes.config import StudyConfig, with_seed
from palmetto.recipes.studies import starter
from palmetto.study.budget import within_flops, within_minutes


def spent(config: StudyConfig) -> float:
    tokens = (
        sum(config.training.batch_size.size(i) for i in range(config.training.steps)) * config.sequence_length
    )
    return tokens * sum(flops_per_token(model).model for model in config.models)


@settings(max_examples=20, deadline=None)
@given(st.floats(12.5, 25).map(lambda exponent: 10**exponent))
def test_a_budget_is_spent_to_five_percent(flops: float) -> None:
    config = within_flops(starter(), flops)
    assert spent(config) == pytest.approx(flops, rel=0.05)
    assert config.training.steps >= 40


@settings(max_examples=20, deadline=None)
@given(st.floats(12.5, 24).map(lambda exponent: 10**exponent), st.floats(1, 1000))
def test_more_budget_never_buys_a_smaller_family(flops: float, times: float) -> None:
    less, more = within_flops(starter(), flops), within_flops(starter(), flops * times)
    assert [count_parameters(model) for model in more.models] >= [
        count_parameters(model) for model in less.models
    ]


def test_large_budgets_climb_the_ladder() -> None:
    largest = [
        within_flops(starter(), 10.0**exponent).models[-1].name for exponent in (12.5, 15, 17, 19, 21, 26)
    ]
    assert largest[0] == "palm_5m"
    assert largest[-1] == "palm_540b"
    assert len(set(largest)) >= 5


def test_the_vocabulary_is_the_familys_and_the_rest_of_the_recipe_stays() -> None:
    config = within_flops(with_seed(starter(), 7), 1e19)
    assert config.tokenizer.vocab_size == config.models[0].vocab_size > 4096
    assert config.training.seed == config.tokenizer.seed == 7


@pytest.mark.parametrize("flops", [1.0, 1e9, 1e11])
def test_too_little_is_refused_with_what_is_needed(flops: float) -> None:
    with pytest.raises(PalmettoError, match="too little; the smallest family takes"):
        within_flops(starter(), flops)


@pytest.mark.parametrize("flops", [-1e12, 0.0, float("nan"), float("inf")])
def test_a_budget_that_is_no_amount_is_refused(flops: float) -> None:
    with pytest.raises(PalmettoError, match=r"--flops .* is no budget"):
        within_flops(starter(), flops)
    with pytest.raises(PalmettoError, match=r"--minutes .* is no budget"):
        within_minutes(starter(), flops, Silent())
