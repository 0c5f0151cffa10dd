"""What the weights are at the start: the paper's standard deviations, no biases, every draw independent."""

import math
from dataclasses import replace
from itertools import combinations

import jax
import numpy as np
import pytest

from palmetto.model.config import ModelConfig
from palmetto.model.spec import (
    Parameters,
    abstract_parameters,
    initialise,
    named_parameters,
    parameter_specs,
)

CONFIG = ModelConfig(
    "wide", n_layers=3, d_model=64, n_heads=4, head_dim=32, vocab_size=512, sequence_length=8
)

# Oracle: section 5 of the paper, N(0, 1/sqrt(n_in)) with n_in the inputs summed by each kernel; embeddings N(0, 1).
EXPECTED_STD = {
    "embedding": 1.0,
    "blocks.w_q": 1 / math.sqrt(64),
    "blocks.w_k": 1 / math.sqrt(64),
    "blocks.w_v": 1 / math.sqrt(64),
    "blocks.w_o": 1 / math.sqrt(4 * 32),
    "blocks.w_gate": 1 / math.sqrt(64),
    "blocks.w_up": 1 / math.sqrt(64),
    "blocks.w_down": 1 / math.sqrt(256),
}


@pytest.fixture(scope="module")
def drawn() -> dict[str, np.ndarray]:
    parameters = initialise(CONFIG, jax.random.key(5))
    return {name: np.asarray(leaf) for name, leaf in named_parameters(parameters).items()}


@pytest.mark.parametrize("name", EXPECTED_STD)
def test_standard_deviations_are_the_papers(name: str, drawn: dict[str, np.ndarray]) -> None:
    weight = drawn[name].astype(np.float64)
    standard_error = 1 / math.sqrt(2 * weight.size)  # relative, of a normal sample's standard deviation
    assert weight.std() == pytest.approx(EXPECTED_STD[name], rel=5 * standard_error)
    assert abs(weight.mean()) < 5 * EXPECTED_STD[name] / math.sqrt(weight.size)


@pytest.mark.parametrize("name", EXPECTED_STD)
def test_draws_are_normal_and_not_truncated(name: str, drawn: dict[str, np.ndarray]) -> None:
    """A normal variable lies beyond two standard deviations with probability erfc(sqrt 2) = 4.55 %."""
    weight, share = drawn[name], math.erfc(math.sqrt(2))
    found = (np.abs(weight) > 2 * EXPECTED_STD[name]).mean()
    assert found == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / weight.size))


def test_layers_and_weights_are_drawn_independently(drawn: dict[str, np.ndarray]) -> None:
    draws = [
        (layer / np.linalg.norm(layer)).ravel()
        for name in EXPECTED_STD
        for layer in (drawn[name] if name != "embedding" else [drawn[name]])
    ]
    for one, other in combinations(draws, 2):
        n = min(one.size, other.size)
        correlation = one[:n] @ other[:n] / (np.linalg.norm(one[:n]) * np.linalg.norm(other[:n]))
        assert abs(correlation) < 6 / math.sqrt(n)


@pytest.mark.parametrize(("norm", "value"), [("layernorm", 1.0), ("rmsnorm", 0.0)])
def test_norms_begin_as_the_identity(norm: str, value: float) -> None:
    config = replace(CONFIG, norm=norm)
    assert (np.asarray(initialise(config, jax.random.key(0)).blocks.norm_scale) == value).all()


def test_every_parameter_is_a_kernel_the_embedding_or_one_norm_scale_a_block() -> None:
    """Section 2: no biases anywhere, embeddings tied, one norm shared by both branches."""
    assert set(named_parameters(parameter_specs(CONFIG))) == {*EXPECTED_STD, "blocks.norm_scale"}


def test_abstract_shapes_are_those_of_the_arrays() -> None:
    def shapes(parameters: Parameters) -> dict[str, tuple]:
        return {name: (leaf.shape, leaf.dtype) for name, leaf in named_parameters(parameters).items()}

    assert shapes(abstract_parameters(CONFIG)) == shapes(initialise(CONFIG, jax.random.key(5)))


def test_names_follow_the_order_of_the_tree() -> None:
    specs = parameter_specs(CONFIG)
    is_spec = lambda leaf: hasattr(leaf, "axes")  # noqa: E731
    assert list(named_parameters(specs).values()) == jax.tree.leaves(specs, is_leaf=is_spec)


def test_the_seed_decides_the_draw() -> None:
    one, same, other = (initialise(CONFIG, jax.random.key(seed)).blocks.w_o for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
