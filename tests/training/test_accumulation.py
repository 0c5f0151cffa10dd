"""Gradient accumulation, and losses on targets alone, against the whole batch and against hand-cut ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from palmetto.model.config import ModelConfig
from palmetto.model.execution import ExecutionConfig
from palmetto.model.spec import Parameters, initialise
from palmetto.sharding import MeshConfig, make_mesh
from palmetto.training.optimizer import OptimizerConfig
from palmetto.training.state import accumulated_gradients, gradients, initial_state, make_train_step

CONFIG = ModelConfig("tiny", n_layers=2, d_model=16, n_heads=2, head_dim=4, vocab_size=32, sequence_length=8)
PLAIN = ExecutionConfig()


@pytest.fixture(scope="module")
def parameters() -> Parameters:
    return initialise(CONFIG, jax.random.key(0))


@pytest.fixture(scope="module")
def records() -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).integers(0, 32, (8, 9)), jnp.int32)


@pytest.fixture(scope="module")
def examples(records: jax.Array) -> jax.Array:
    """Tokens, and a plane that says which are targets: from none of a row to nearly all."""
    targets = np.arange(9)[None] > np.arange(8, 0, -1)[:, None]
    return jnp.stack([records, jnp.asarray(targets, jnp.int32)], axis=1)


def assert_equal(one: object, other: object) -> None:
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("microbatches", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", ["records", "examples"])
def test_microbatches_add_up_to_the_whole_batch(
    kind: str, microbatches: int, parameters: Parameters, request: pytest.FixtureRequest
) -> None:
    """Oracle: the gradient and the loss of the batch in one piece."""
    batch = request.getfixturevalue(kind)
    whole = gradients(parameters, batch, CONFIG)
    assert_equal(accumulated_gradients(parameters, batch, CONFIG, PLAIN, microbatches), whole)


def test_tokens_that_are_no_targets_count_for_nothing(parameters: Parameters, examples: jax.Array) -> None:
    """Oracle: the losses of each row's targets alone, averaged by hand."""
    _, parts = gradients(parameters, examples, CONFIG)
    losses = []
    loss = jax.jit(lambda example: gradients(parameters, example, CONFIG)[1].cross_entropy)
    for tokens, is_target in np.asarray(examples):
        for place in range(1, 9):
            if is_target[place]:
                only = np.zeros_like(is_target)
                only[place] = 1
                losses.append(loss(jnp.stack([tokens, only])[None]))
    assert len(losses) == examples[:, 1, 1:].sum()
    assert float(parts.cross_entropy) == pytest.approx(float(np.mean(losses)), rel=1e-5)


def test_an_update_of_microbatches_is_that_of_the_whole_batch(records: jax.Array) -> None:
    mesh, optimizer = make_mesh(MeshConfig(data=1), jax.devices()[:1]), OptimizerConfig()
    found = []
    for microbatches in (1, 4):
        step = make_train_step(CONFIG, optimizer, mesh, PLAIN, microbatches=microbatches)
        found.append(jax.device_get(step(initial_state(CONFIG, optimizer, mesh, 0), records)))
    assert_equal(found[0][1], found[1][1])
    moved = found[0][0].parameters.blocks.w_up - found[1][0].parameters.blocks.w_up
    assert np.abs(moved).max() < 1e-6


def test_dropout_depends_on_the_seed_and_the_update_alone(records: jax.Array) -> None:
    mesh, optimizer = make_mesh(MeshConfig(data=1), jax.devices()[:1]), OptimizerConfig()
    execution = ExecutionConfig(dropout=0.5)

    def losses(seed: int) -> list[float]:
        step = make_train_step(CONFIG, optimizer, mesh, execution, seed=seed)
        state, found = initial_state(CONFIG, optimizer, mesh, 0), []
        for _ in range(2):
            state, metrics = step(state, records)
            found.append(float(metrics.loss))
        return found

    assert losses(0) == losses(0)
    assert losses(0) != losses(1)
