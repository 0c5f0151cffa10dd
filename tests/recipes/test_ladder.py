"""The ladder of models against the table of the design, written out here by hand."""

from itertools import pairwise

import pytest

from palmetto.common.errors import PalmettoError
from palmetto.model.counts import count_parameters
from palmetto.recipes.models import LADDER, model_recipe

# name: layers, d_model, heads, head size, vocabulary, sequence length, parameters
TABLE = {
    "palm_160k": (2, 32, 2, 16, 4096, 256, "0.16 M"),
    "palm_800k": (3, 96, 3, 32, 4096, 256, "0.80 M"),
    "palm_5m": (4, 256, 4, 64, 4096, 256, "4.9 M"),
    "palm_34m": (8, 512, 8, 64, 8192, 2048, "34 M"),
    "palm_270m": (16, 1024, 8, 128, 32768, 2048, "273 M"),
    "palm_1b5": (24, 2048, 8, 256, 32768, 2048, "1.50 B"),
    "palm_8b": (32, 4096, 16, 256, 256_000, 2048, "8.63 B"),
    "palm_62b": (64, 8192, 32, 256, 256_000, 2048, "62.50 B"),
    "palm_540b": (118, 18432, 48, 256, 256_000, 2048, "540.36 B"),
}


def by_hand(L: int, d: int, H: int, Q: int, V: int) -> int:
    """The closed formula that reproduces table 1 of the paper."""
    ff = 4 * d
    return L * (d * (H * Q + 2 * ff) + d * 2 * Q + (H * Q + ff) * d + d) + V * d


@pytest.mark.parametrize("name", TABLE)
def test_a_recipe_is_its_row_of_the_design(name: str) -> None:
    config = model_recipe(name)
    row = TABLE[name]
    assert config.name == name
    assert row[:6] == (
        config.n_layers,
        config.d_model,
        config.n_heads,
        config.head_dim,
        config.vocab_size,
        config.sequence_length,
    )
    assert config.d_ff == 4 * config.d_model
    assert config.norm == "layernorm"


@pytest.mark.parametrize("name", TABLE)
def test_a_recipe_has_the_parameters_of_the_design(name: str) -> None:
    """Oracle: the closed formula, and the rounded figure of the table."""
    count = count_parameters(model_recipe(name))
    assert count == by_hand(*TABLE[name][:5])
    figure, unit = TABLE[name][6].split()
    digits = len(figure.partition(".")[2])
    assert f"{count / {'M': 1e6, 'B': 1e9}[unit]:.{digits}f}" == figure


def test_the_ladder_is_complete_and_each_step_up_is_five_to_nine_times_larger() -> None:
    counts = [count_parameters(recipe()) for recipe in LADDER.values()]
    assert list(LADDER) == list(TABLE)
    assert all(4.9 < large / small < 9.1 for small, large in pairwise(counts))


def test_an_unknown_model_is_an_error_that_lists_the_ladder() -> None:
    with pytest.raises(PalmettoError, match=r"no model recipe 'palm_3b'.*palm_160k.*palm_540b"):
        model_recipe("palm_3b")
