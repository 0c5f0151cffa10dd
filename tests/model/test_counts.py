"""Parameters and FLOPs against the paper's table 1 and appendix B, and against what is really allocated."""

import jax
import pytest

from palmetto.common.errors import PalmettoError
from palmetto.model.config import ModelConfig
from palmetto.model.counts import (
    FlopsPerToken,
    count_parameters,
    flops_per_token,
    implemented_flops_per_token,
)
from palmetto.model.spec import initialise
from palmetto.recipes.models import LADDER, model_recipe


@pytest.mark.parametrize(
    ("name", "billions"), [("palm_8b", 8.63), ("palm_62b", 62.50), ("palm_540b", 540.36)]
)
def test_parameters_are_those_of_table_1(name: str, billions: float) -> None:
    assert round(count_parameters(model_recipe(name)) / 1e9, 2) == billions


@pytest.mark.parametrize(
    ("name", "rematerialisation", "model", "hardware", "digits"),
    [
        ("palm_8b", "attention", 0.0550, 0.0561, 4),
        ("palm_62b", "attention", 0.388, 0.392, 3),
        ("palm_540b", "full", 3.28, 4.10, 2),
    ],
)
def test_flops_per_token_are_those_of_appendix_b(
    name: str, rematerialisation: str, model: float, hardware: float, digits: int
) -> None:
    flops = flops_per_token(model_recipe(name), rematerialisation)  # type: ignore[arg-type]
    assert round(flops.model / 1e12, digits) == model
    assert round(flops.hardware / 1e12, digits) == hardware


def test_540b_utilisation_is_that_of_section_4_1() -> None:
    """238.3K tokens/s on 6,144 TPU v4 of 275 TFLOP/s: MFU 45.7 % without attention, 46.2 % with, HFU 57.8 %."""
    flops, peak, speed = flops_per_token(model_recipe("palm_540b"), "full"), 6144 * 275e12, 238.3e3
    assert round(100 * speed * flops.dense / peak, 1) == 45.7
    assert round(100 * speed * flops.model / peak, 1) == 46.2
    assert round(100 * speed * flops.hardware / peak, 1) == 57.8


def test_mt_nlgs_utilisation_is_that_of_section_4_1() -> None:
    """1,920 sequences of 2,048 in 60.1 s on 2,240 A100 of 312 TFLOP/s: 29.7 % without attention, 30.2 % with.

    Its 530 B parameters by Megatron's formula from 105 layers of 20,480, 128 heads of 160 and 51,200 words.
    """
    layers, width, words, length = 105, 20_480, 51_200, 2048
    parameters = 12 * layers * width**2 * (1 + 13 / (12 * width)) + (words + length) * width
    flops = FlopsPerToken(
        dense=6.0 * parameters, attention=12.0 * layers * 128 * 160 * length, recomputed=0.0
    )
    speed, peak = 1920 * 2048 / 60.1, 2240 * 312e12
    assert round(100 * speed * flops.dense / peak, 1) == 29.7
    assert round(100 * speed * flops.model / peak, 1) == 30.2


@pytest.mark.parametrize(
    ("name", "billions"), [("palm_8b", 8.63), ("palm_62b", 62.50), ("palm_540b", 540.36)]
)
def test_saving_one_activation_a_layer_computes_less_again_than_the_paper_counts(
    name: str, billions: float
) -> None:
    """About 65 % of a block's forward products outside attention, against 75 % of 2N; all of attention's in both.

    Of attention's products ours are 9/16 of the paper's: queries in eight pieces, each with the keys up to its end.
    """
    config = model_recipe(name)
    paper, own = flops_per_token(config, "full"), implemented_flops_per_token(config, "full")
    attention = paper.attention / 3
    blocks = 2e9 * billions - 2 * config.vocab_size * config.d_model
    assert (paper.recomputed - attention) / (2e9 * billions) == pytest.approx(0.75, rel=1e-3)
    assert (own.recomputed - 9 / 16 * attention) / blocks == pytest.approx(0.65, abs=0.02)
    assert (own.dense, own.attention) == (paper.dense, 9 / 16 * paper.attention)


def test_recomputing_attention_alone_makes_the_scores_again_and_not_what_they_mix() -> None:
    config = model_recipe("palm_8b")
    paper, own = flops_per_token(config, "attention"), implemented_flops_per_token(config, "attention")
    assert own.recomputed == 9 / 16 * paper.recomputed / 2
    assert implemented_flops_per_token(config).recomputed == 0


def test_no_rematerialisation_computes_nothing_twice() -> None:
    flops = flops_per_token(model_recipe("palm_8b"))
    assert flops.recomputed == 0
    assert flops.hardware == flops.model


@pytest.mark.parametrize("name", ["palm_160k", "palm_800k", "palm_5m"])
def test_the_count_is_what_initialisation_allocates(name: str) -> None:
    config = LADDER[name]()
    arrays = jax.eval_shape(lambda key: initialise(config, key), jax.random.key(0))
    assert count_parameters(config) == sum(leaf.size for leaf in jax.tree.leaves(arrays))


@pytest.mark.parametrize(
    "field", ["n_layers", "d_model", "n_heads", "head_dim", "vocab_size", "sequence_length"]
)
def test_a_size_below_one_is_an_error_naming_the_field(field: str) -> None:
    sizes = {
        "n_layers": 1,
        "d_model": 4,
        "n_heads": 1,
        "head_dim": 2,
        "vocab_size": 8,
        "sequence_length": 4,
    }
    with pytest.raises(PalmettoError, match=f"ModelConfig.{field} is 0 for tiny.*at least 1"):
        ModelConfig("tiny", **{**sizes, field: 0})


def test_an_odd_head_size_is_an_error_saying_why() -> None:
    with pytest.raises(PalmettoError, match=r"ModelConfig\.head_dim is 3 for odd.*pairs.*even"):
        ModelConfig("odd", 1, 4, 1, 3, 8, 4)
