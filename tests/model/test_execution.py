"""How a step is computed changes its memory and FLOPs, not its result; dropout, the exception, drops its share."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from palm_oracle import random_parameters

from palmetto.common.errors import PalmettoError
from palmetto.model.attention import causal_attention
from palmetto.model.config import ModelConfig
from palmetto.model.counts import implemented_flops_per_token
from palmetto.model.execution import ExecutionConfig
from palmetto.model.forward import (
    block_output,
    drop,
    embed,
    hidden_states,
    normalise,
    ready_for_products,
    rotary_angles,
)
from palmetto.pathways.compiled_flops import compiled_flops
from palmetto.training.loss import batch_loss

DEEP = ModelConfig("deep", n_layers=9, d_model=32, n_heads=3, head_dim=16, vocab_size=64, sequence_length=48)
SHALLOW = replace(DEEP, name="shallow", n_layers=2)
POLICIES = ("none", "attention", "full")
EACH_WAY = pytest.mark.parametrize("config", [DEEP, SHALLOW], ids=lambda config: config.name)
# Queries in three pieces, the last one short.
LONG = replace(SHALLOW, name="long", sequence_length=160)


def some_records(config: ModelConfig) -> np.ndarray:
    shape = (4, config.sequence_length + 1)
    return np.random.default_rng(1).integers(0, config.vocab_size, shape).astype(np.int32)


@cache
def compiled(config: ModelConfig, policy: str) -> Any:
    execution = ExecutionConfig(rematerialisation=policy, loss_chunk=16)  # type: ignore[arg-type]

    def gradient(parameters: Any, records: jax.Array) -> Any:
        return jax.grad(batch_loss, has_aux=True)(parameters, records, config, execution)[0]

    return jax.jit(gradient).lower(random_parameters(config), some_records(config)).compile()


@EACH_WAY
@pytest.mark.parametrize("policy", POLICIES[1:])
def test_rematerialisation_leaves_the_gradient_as_it_is(config: ModelConfig, policy: str) -> None:
    parameters, records = random_parameters(config), some_records(config)
    plain, other = (compiled(config, name)(parameters, records) for name in ("none", policy))
    for expected, found in zip(jax.tree.leaves(plain), jax.tree.leaves(other), strict=True):
        assert np.linalg.norm(found - expected) <= 1e-6 * np.linalg.norm(expected)


def test_memory_falls_as_more_is_computed_again() -> None:
    none, attention, full = (
        compiled(DEEP, policy).memory_analysis().temp_size_in_bytes for policy in POLICIES
    )
    scores = 4 * 4 * DEEP.n_heads * DEEP.sequence_length**2  # one layer's, in bytes
    assert none - attention > 0.9 * (DEEP.n_layers - 1) * scores
    assert full < attention


def test_one_activation_a_layer_is_what_full_keeps() -> None:
    """A layer more adds its input, its kernels and their slopes to the temporary memory, and nothing else."""
    deeper = replace(DEEP, n_layers=DEEP.n_layers + 8)
    here, there = (compiled(config, "full").memory_analysis().temp_size_in_bytes for config in (DEEP, deeper))
    activation = 4 * 4 * DEEP.sequence_length * DEEP.d_model
    queries = 4 * DEEP.d_model * (DEEP.n_heads + 1) * DEEP.head_dim  # with rotary pairs split, and slopes
    assert activation <= (there - here) / 8 <= activation + 2.2 * queries


@pytest.mark.parametrize("config", [DEEP, SHALLOW, LONG], ids=lambda config: config.name)
@pytest.mark.parametrize("policy", POLICIES)
def test_the_compiled_steps_flops_are_our_own_count(config: ModelConfig, policy: str) -> None:
    counted = compiled_flops(compiled(config, policy).as_text())
    own = implemented_flops_per_token(config, policy)  # type: ignore[arg-type]
    assert (counted.unknown_loops, counted.uncounted_calls) == ((), ())
    assert counted.flops == pytest.approx(4 * config.sequence_length * own.hardware, rel=0.02)


def states(config: ModelConfig, dropout: float, seed: int | None) -> np.ndarray:
    execution, key = ExecutionConfig(dropout=dropout), None if seed is None else jax.random.key(seed)
    run: Callable[..., jax.Array] = jax.jit(hidden_states, static_argnums=(2, 3))
    return np.asarray(run(random_parameters(config), some_records(config)[:, :-1], config, execution, key))


def test_without_a_rate_or_without_a_key_nothing_is_dropped() -> None:
    plain = states(SHALLOW, 0.0, None)
    np.testing.assert_array_equal(states(SHALLOW, 0.0, 3), plain)
    np.testing.assert_array_equal(states(SHALLOW, 0.1, None), plain)


def test_a_key_decides_what_is_dropped() -> None:
    once = states(SHALLOW, 0.1, 3)
    np.testing.assert_array_equal(states(SHALLOW, 0.1, 3), once)
    assert (states(SHALLOW, 0.1, 4) != once).any()
    assert (states(SHALLOW, 0.0, None) != once).any()


def test_the_embedded_tokens_and_what_each_layer_adds_have_masks_of_their_own() -> None:
    """Oracle: the blocks one after the other, by hand, each with the key of its number."""
    parameters, tokens = random_parameters(SHALLOW), jnp.asarray(some_records(SHALLOW)[:, :-1])
    keys = [jax.random.fold_in(jax.random.key(3), number) for number in range(3)]
    blocks, angles = (
        ready_for_products(parameters.blocks, SHALLOW),
        rotary_angles(jnp.arange(48)[None], SHALLOW),
    )
    x = drop(embed(parameters, tokens), keys[2], 0.1)
    for layer in range(2):
        weights = jax.tree.map(lambda leaf, layer=layer: leaf[layer], blocks)
        added, _ = block_output(x, weights, angles, causal_attention("xla"), SHALLOW)
        x = x + drop(added, keys[layer], 0.1)
    np.testing.assert_allclose(states(SHALLOW, 0.1, 3), normalise(x, SHALLOW), rtol=1e-4, atol=1e-5)


def test_dropout_keeps_the_expectation_and_drops_its_share() -> None:
    """Oracle: a share r of zeros, the rest 1/(1 - r), to four standard errors; one mask for a sequence."""
    rate, features = 0.1, 40_000
    dropped = np.asarray(drop(jnp.ones((2, 3, features)), jax.random.key(0), rate))
    spread = 4 * np.sqrt(rate * (1 - rate) / features)
    assert (dropped == 0).mean() == pytest.approx(rate, abs=spread)
    assert dropped.mean() == pytest.approx(1, abs=spread / (1 - rate))
    np.testing.assert_array_equal(dropped[:, 0], dropped[:, 2])
    assert (dropped[0] != dropped[1]).any()


def test_the_gradient_under_dropout_is_the_same_when_blocks_are_computed_again() -> None:
    parameters, records = random_parameters(SHALLOW), jnp.asarray(some_records(SHALLOW))

    def gradient(policy: str) -> Any:
        execution = ExecutionConfig(rematerialisation=policy, dropout=0.2)  # type: ignore[arg-type]

        def loss(parameters: Any) -> jax.Array:
            return batch_loss(parameters, records, SHALLOW, execution, dropout_key=jax.random.key(5))[0]

        return jax.jit(jax.grad(loss))(parameters)

    for expected, found in zip(*map(jax.tree.leaves, (gradient("none"), gradient("full"))), strict=True):
        assert np.linalg.norm(found - expected) <= 1e-6 * np.linalg.norm(expected)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("loss_chunk", 0, "at least 1 position"),
        ("dropout", 1.0, r"in \[0, 1\)"),
    ],
)
def test_a_choice_that_is_none_is_an_error_naming_the_field(field: str, value: Any, why: str) -> None:
    with pytest.raises(PalmettoError, match=f"ExecutionConfig.{field} is .*{value}.*{why}"):
        ExecutionConfig(**{field: value})
