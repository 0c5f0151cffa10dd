"""The forward pass against the float64 NumPy oracle of `palm_oracle.py`."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from palm_oracle import as_float64, palm_logits, random_parameters

from palmetto.model.attention import causal_attention
from palmetto.model.config import ModelConfig
from palmetto.model.forward import (
    block_output,
    forward,
    normalise,
    ready_for_products,
    rotary_angles,
    rotate,
)

SQUARE = ModelConfig("square", n_layers=2, d_model=8, n_heads=2, head_dim=4, vocab_size=17, sequence_length=7)
WIDE = replace(SQUARE, name="heads x size above d_model", n_heads=3, head_dim=6)
DEEP = replace(SQUARE, name="deep enough to be scanned", n_layers=9)
RMSNORM = replace(WIDE, name="rmsnorm", norm="rmsnorm")

run = partial(jax.jit, static_argnames="config")(forward)


def some_tokens(config: ModelConfig, rows: int = 2) -> np.ndarray:
    shape = (rows, config.sequence_length)
    return np.random.default_rng(1).integers(0, config.vocab_size, shape).astype(np.int32)


@pytest.mark.parametrize("config", [SQUARE, WIDE, DEEP, RMSNORM], ids=lambda config: config.name)
def test_logits_equal_the_float64_oracle(config: ModelConfig) -> None:
    parameters, tokens = random_parameters(config), some_tokens(config)
    expected = np.stack([palm_logits(as_float64(parameters), row, config) for row in tokens])
    found = np.asarray(run(parameters, jnp.asarray(tokens), config=config))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_layernorm_and_rmsnorm_are_different_models() -> None:
    """Guards the oracle comparison: the two norms must not agree by accident."""
    parameters, tokens = random_parameters(RMSNORM), jnp.asarray(some_tokens(RMSNORM))
    as_layernorm = run(parameters, tokens, config=replace(RMSNORM, norm="layernorm"))
    assert float(jnp.abs(run(parameters, tokens, config=RMSNORM) - as_layernorm).max()) > 1e-2


@pytest.mark.parametrize("changed", range(1, SQUARE.sequence_length))
def test_a_later_token_leaves_earlier_logits_as_they_were(changed: int) -> None:
    parameters, tokens = random_parameters(SQUARE), some_tokens(SQUARE)
    other = tokens.copy()
    other[:, changed] = (other[:, changed] + 1) % SQUARE.vocab_size
    before = np.asarray(run(parameters, jnp.asarray(tokens), config=SQUARE))
    after = np.asarray(run(parameters, jnp.asarray(other), config=SQUARE))
    np.testing.assert_array_equal(before[:, :changed], after[:, :changed])
    assert (before[:, changed:] != after[:, changed:]).any(axis=-1).all()


def test_an_example_does_not_depend_on_the_rest_of_its_batch() -> None:
    parameters, tokens = random_parameters(SQUARE), some_tokens(SQUARE)
    other = tokens.copy()
    other[1] = (other[1] + 3) % SQUARE.vocab_size
    first = np.asarray(run(parameters, jnp.asarray(tokens), config=SQUARE))[0]
    np.testing.assert_array_equal(first, np.asarray(run(parameters, jnp.asarray(other), config=SQUARE))[0])


def test_bfloat16_products_give_float32_logits_near_the_oracle() -> None:
    config = replace(SQUARE, compute_dtype="bfloat16")
    parameters, tokens = random_parameters(config), some_tokens(config)
    found = run(parameters, jnp.asarray(tokens), config=config)
    assert found.dtype == jnp.float32
    expected = np.stack([palm_logits(as_float64(parameters), row, config) for row in tokens])
    error = np.abs(np.asarray(found) - expected).max() / np.abs(expected).max()
    assert 1e-5 < error < 3e-2  # eight bits of mantissa: neither float32 nor wrong


def test_rotary_positions_stay_exact_past_256_under_bfloat16() -> None:
    """Angles rounded to bfloat16 would give positions 256 and 257 the same one."""
    config = replace(SQUARE, n_layers=1, compute_dtype="bfloat16", sequence_length=258)
    parameters = random_parameters(config)
    tokens = jnp.zeros((1, 258), jnp.int32).at[0, 256].set(1).at[0, 3].set(2)
    distant = run(parameters, tokens, config=config)[0]
    exact = palm_logits(as_float64(parameters), np.asarray(tokens[0]), config)
    assert np.abs(np.asarray(distant[257]) - exact[257]).max() < 3e-2 * np.abs(exact).max()


def test_fused_projections_equal_unfused() -> None:
    """One product with the kernels side by side, as the parallel block allows, against the five separate ones."""
    D, H, Q, F = WIDE.d_model, WIDE.n_heads, WIDE.head_dim, WIDE.d_ff
    blocks = ready_for_products(random_parameters(WIDE).blocks, WIDE)
    weights = jax.tree.map(lambda leaf: leaf[0], blocks)
    x = jnp.asarray(np.random.default_rng(5).normal(size=(2, 7, D)), jnp.float32)
    angles, attend = rotary_angles(jnp.arange(7)[None], WIDE), causal_attention("xla")

    into = (weights.w_q.reshape(D, H * Q), weights.w_k, weights.w_v, weights.w_gate, weights.w_up)
    projected = (normalise(x, WIDE) * weights.norm_scale) @ jnp.concatenate(into, axis=1)
    query, key, value, gate, up = jnp.split(projected, np.cumsum([H * Q, Q, Q, F]), axis=-1)
    cos, sin = angles
    query = rotate(query.reshape(2, 7, H, Q), cos[:, :, None], sin[:, :, None])
    mixed = attend(query, rotate(key, cos, sin), value).reshape(2, 7, H * Q)
    out_of = jnp.concatenate((weights.w_o.reshape(H * Q, D), weights.w_down))
    fused = jnp.concatenate((mixed, jax.nn.silu(gate) * up), axis=-1) @ out_of

    unfused, _ = block_output(x, weights, angles, attend, WIDE)
    np.testing.assert_allclose(unfused, fused, rtol=1e-5, atol=1e-6 * float(jnp.abs(fused).max()))
