"""The loss and its gradient against the float64 NumPy oracle of `tests/model/palm_oracle.py`."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from model.palm_oracle import as_float64, palm_losses, random_parameters
from palmetto.model.config import ModelConfig
from palmetto.model.spec import named_parameters
from palmetto.training.loss import Z_LOSS_WEIGHT, LossParts, batch_loss, token_losses

LAYERNORM = ModelConfig(
    "layernorm", n_layers=2, d_model=6, n_heads=2, head_dim=4, vocab_size=11, sequence_length=5
)
RMSNORM = replace(LAYERNORM, name="rmsnorm", norm="rmsnorm")
CONFIGS = pytest.mark.parametrize("config", [LAYERNORM, RMSNORM], ids=lambda config: config.name)

loss_and_gradient = partial(jax.jit, static_argnames="config")(jax.value_and_grad(batch_loss, has_aux=True))


def some_records(config: ModelConfig) -> np.ndarray:
    shape = (3, config.sequence_length + 1)
    return np.random.default_rng(2).integers(0, config.vocab_size, shape).astype(np.int32)


@CONFIGS
def test_the_loss_is_cross_entropy_plus_z_loss(config: ModelConfig) -> None:
    parameters, records = random_parameters(config), some_records(config)
    entropy, penalty = palm_losses(as_float64(parameters), records, config)
    (total, parts), _ = loss_and_gradient(parameters, jnp.asarray(records), config=config)
    assert float(parts.cross_entropy) == pytest.approx(entropy, rel=1e-5)
    assert float(parts.z_loss) == pytest.approx(penalty, rel=1e-5)
    assert float(total) == pytest.approx(entropy + penalty, rel=1e-5)


@CONFIGS
def test_the_gradient_of_every_weight_equals_the_oracles_slope(config: ModelConfig) -> None:
    """Central differences of the float64 oracle along random directions, one weight at a time."""
    parameters, records = random_parameters(config), some_records(config)
    _, gradient = loss_and_gradient(parameters, jnp.asarray(records), config=config)
    weights, rng = as_float64(parameters), np.random.default_rng(3)
    for name, slope in named_parameters(gradient).items():
        direction = rng.standard_normal(weights[name].shape)
        direction /= np.linalg.norm(direction)
        ahead, behind = (
            sum(palm_losses({**weights, name: weights[name] + step * direction}, records, config))
            for step in (1e-5, -1e-5)
        )
        exact = (ahead - behind) / 2e-5
        along = float((np.asarray(slope, np.float64) * direction).sum())
        assert along == pytest.approx(exact, abs=2e-6 * max(1.0, np.linalg.norm(np.asarray(slope)))), name


def test_the_gradient_by_the_logits_has_its_closed_form() -> None:
    """d/dx = softmax(x)·(1 + 2·1e-4·log Z) - onehot(target), from differentiating -x[t] + log Z + 1e-4·log²Z."""
    rng = np.random.default_rng(4)
    logits, target = rng.normal(0, 3, 13), 5

    def loss(x: jax.Array) -> jax.Array:
        entropy, log_z = token_losses(x[None], jnp.array([target]))
        return (entropy + Z_LOSS_WEIGHT * jnp.square(log_z))[0]

    log_z = np.log(np.exp(logits).sum())
    expected = np.exp(logits - log_z) * (1 + 2e-4 * log_z) - np.eye(13)[target]
    np.testing.assert_allclose(
        jax.grad(loss)(jnp.asarray(logits, jnp.float32)), expected, rtol=2e-5, atol=1e-7
    )


def test_logits_of_hundreds_do_not_overflow() -> None:
    losses, log_z = token_losses(jnp.array([[500.0, 0.0, -500.0]]), jnp.array([1]))
    np.testing.assert_allclose([losses[0], log_z[0]], [500.0, 500.0])


def test_parts_are_scalars_of_float32() -> None:
    (_, parts), _ = loss_and_gradient(
        random_parameters(LAYERNORM), jnp.asarray(some_records(LAYERNORM)), config=LAYERNORM
    )
    assert isinstance(parts, LossParts)
    assert all(part.dtype == jnp.float32 and part.shape == () for part in parts)
