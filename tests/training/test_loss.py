"""The loss and its gradient against the float64 NumPy oracle of `tests/model/palm_oracle.py`."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from model.palm_oracle import as_float64, palm_losses, random_parameters
from palmetto.model.config import ModelConfig
from palmetto.model.counts import implemented_flops_per_token
from palmetto.model.execution import ExecutionConfig
from palmetto.model.forward import hidden_states, output_logits
from palmetto.model.spec import Parameters, abstract_parameters, named_parameters
from palmetto.pathways.compiled_flops import compiled_flops
from palmetto.training.loss import Z_LOSS_WEIGHT, LossParts, batch_loss, hidden_token_losses, token_losses

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


def plain_loss(
    parameters: Parameters, weights: jax.Array, records: np.ndarray, config: ModelConfig
) -> jax.Array:
    """The oracle of the chunked loss: all logits at once, differentiated by JAX."""
    logits = output_logits(
        parameters, hidden_states(parameters, jnp.asarray(records[:, :-1]), config), config
    )
    entropy, log_z = token_losses(logits, jnp.asarray(records[:, 1:]))
    return (weights * (entropy + Z_LOSS_WEIGHT * jnp.square(log_z))).sum() / weights.sum()


@pytest.mark.parametrize("chunk", [1, 2, 5, 9])
def test_value_and_gradient_equal_the_plain_forms_whatever_the_chunk(chunk: int) -> None:
    """Sequences of 5: chunks of one, chunks that leave a rest, one whole and one longer than the sequence."""
    parameters, records = random_parameters(LAYERNORM), some_records(LAYERNORM)
    weights = jnp.asarray(np.random.default_rng(6).uniform(0.1, 2.0, records[:, 1:].shape), jnp.float32)

    def chunked(parameters: Parameters, weights: jax.Array) -> jax.Array:
        execution = ExecutionConfig(loss_chunk=chunk)
        return batch_loss(parameters, jnp.asarray(records), LAYERNORM, execution, weights)[0]

    found = jax.jit(jax.value_and_grad(chunked, argnums=(0, 1)))(parameters, weights)
    plain = partial(plain_loss, records=records, config=LAYERNORM)
    expected = jax.jit(jax.value_and_grad(plain, argnums=(0, 1)))(parameters, weights)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert np.linalg.norm(one - other) <= 1e-6 * max(np.linalg.norm(other), 1e-2)


def test_the_loss_scales_with_what_is_made_of_it() -> None:
    parameters, records = random_parameters(LAYERNORM), jnp.asarray(some_records(LAYERNORM))
    slopes = jax.jit(jax.grad(lambda p, times: times * batch_loss(p, records, LAYERNORM)[0]))
    once, thrice = slopes(parameters, 1.0), slopes(parameters, 3.0)
    for one, three in zip(jax.tree.leaves(once), jax.tree.leaves(thrice), strict=True):
        np.testing.assert_allclose(three, 3 * one, rtol=1e-5, atol=1e-7)


def test_tokens_of_no_weight_leave_loss_and_gradient_as_they_were() -> None:
    """Finetuning: what stands in the padding after the last target must not matter."""
    parameters, records = random_parameters(LAYERNORM), some_records(LAYERNORM)
    weights = jnp.asarray([[0, 1, 1, 0, 0]] * 3, jnp.float32)
    other = records.copy()
    other[:, 4:] = (other[:, 4:] + 3) % LAYERNORM.vocab_size
    run = jax.jit(jax.value_and_grad(lambda p, r: batch_loss(p, r, LAYERNORM, weights=weights), has_aux=True))
    for one, two in zip(
        *(jax.tree.leaves(run(parameters, jnp.asarray(r))) for r in (records, other)), strict=True
    ):
        np.testing.assert_array_equal(one, two)


def test_a_batch_in_which_nothing_counts_has_no_loss_and_no_gradient() -> None:
    parameters, records = random_parameters(LAYERNORM), jnp.asarray(some_records(LAYERNORM))
    nothing = jnp.zeros((3, 5))
    run = jax.jit(
        jax.value_and_grad(lambda p: batch_loss(p, records, LAYERNORM, weights=nothing), has_aux=True)
    )
    (loss, _), gradient = run(parameters)
    assert float(loss) == 0.0
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(gradient))


def test_losses_from_states_equal_losses_from_logits() -> None:
    parameters, records = random_parameters(LAYERNORM), jnp.asarray(some_records(LAYERNORM))
    hidden = hidden_states(parameters, records[:, :-1], LAYERNORM)
    expected = token_losses(output_logits(parameters, hidden, LAYERNORM), records[:, 1:])
    found = hidden_token_losses(hidden, parameters.embedding, records[:, 1:], LAYERNORM, chunk=2)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


# One layer under a vocabulary that makes all logits (B x S x V) twelve times what else a step holds.
WORDY = ModelConfig(
    "wordy", n_layers=1, d_model=16, n_heads=1, head_dim=8, vocab_size=4096, sequence_length=64
)
BATCH = 8
ALL_LOGITS = 4 * BATCH * WORDY.sequence_length * WORDY.vocab_size  # bytes


def compiled(function: Any) -> Any:
    records = jax.ShapeDtypeStruct((BATCH, WORDY.sequence_length + 1), jnp.int32)
    return jax.jit(function).lower(abstract_parameters(WORDY), records).compile()


def test_a_steps_memory_never_holds_all_logits() -> None:
    """Room for two arrays of one chunk's logits, and what the step needs with one word in the vocabulary."""
    chunk = 4

    def gradient(parameters: Parameters, records: jax.Array) -> Any:
        return jax.grad(lambda p: batch_loss(p, records, WORDY, ExecutionConfig(loss_chunk=chunk))[0])(
            parameters
        )

    program = compiled(gradient)
    embedding = 4 * WORDY.vocab_size * WORDY.d_model
    allowed = 2.5 * ALL_LOGITS * chunk / WORDY.sequence_length + 3 * embedding + 400_000
    assert allowed < ALL_LOGITS / 3
    assert program.memory_analysis().temp_size_in_bytes < allowed
    own = implemented_flops_per_token(WORDY).hardware * BATCH * WORDY.sequence_length
    assert compiled_flops(program.as_text()).flops == pytest.approx(own, rel=0.01)  # nothing computed twice


def test_a_loss_that_is_only_measured_computes_no_gradient() -> None:
    program = compiled(
        lambda parameters, records: batch_loss(parameters, records, WORDY, ExecutionConfig(loss_chunk=4))[0]
    )
    assert program.memory_analysis().temp_size_in_bytes < ALL_LOGITS / 3
    forward_only = implemented_flops_per_token(WORDY).model / 3 * BATCH * WORDY.sequence_length
    assert compiled_flops(program.as_text()).flops == pytest.approx(forward_only, rel=0.01)
