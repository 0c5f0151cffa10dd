"""The train step on one device: the same bits every time, a pinned loss, and learning."""

import jax
import numpy as np
import pytest

from palmetto.model.spec import named_parameters
from palmetto.recipes.models import palm_160k
from palmetto.sharding import MeshConfig, make_mesh
from palmetto.training.optimizer import OptimizerConfig
from palmetto.training.state import TrainState, TrainStep, abstract_state, initial_state, make_train_step

CONFIG, OPTIMIZER = palm_160k(), OptimizerConfig()

# What this code gave when it was first shown right by the float64 oracles of the model, the loss and the optimizer.
GOLDEN_LOSSES = [8.808653, 8.791448, 8.758876]


@pytest.fixture(scope="module")
def mesh() -> jax.sharding.Mesh:
    return make_mesh(MeshConfig(data=1), jax.devices()[:1])


@pytest.fixture(scope="module")
def step(mesh: jax.sharding.Mesh) -> TrainStep:
    return make_train_step(CONFIG, OPTIMIZER, mesh)


@pytest.fixture(scope="module")
def records() -> np.ndarray:
    """Fixed tokens from integer arithmetic, so that no library's generator decides them."""
    return (np.arange(2 * 257, dtype=np.int64).reshape(2, 257) ** 2 * 7919 % 4093).astype(np.int32)


def run(step: TrainStep, mesh: jax.sharding.Mesh, records: np.ndarray, steps: int) -> tuple[TrainState, list]:
    state, rows = initial_state(CONFIG, OPTIMIZER, mesh, seed=0), []
    for _ in range(steps):
        state, metrics = step(state, records)
        rows.append(metrics)
    return state, rows


@pytest.fixture(scope="module")
def three_steps(step: TrainStep, mesh: jax.sharding.Mesh, records: np.ndarray) -> tuple[TrainState, list]:
    return run(step, mesh, records, 3)


def test_two_runs_give_the_same_bits(
    three_steps: tuple[TrainState, list], mesh: jax.sharding.Mesh, records: np.ndarray
) -> None:
    """The second run is compiled anew."""
    again = run(make_train_step(CONFIG, OPTIMIZER, mesh), mesh, records, 3)
    for one, other in zip(jax.tree.leaves(three_steps), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_golden_loss_of_the_smallest_model(three_steps: tuple[TrainState, list]) -> None:
    np.testing.assert_allclose([metrics.loss for metrics in three_steps[1]], GOLDEN_LOSSES, rtol=1e-5)


def test_metrics_say_what_the_update_did(three_steps: tuple[TrainState, list]) -> None:
    """Oracles: log V for the first loss to within the spread of random logits; norms recomputed in float64."""
    state, rows = three_steps
    assert float(rows[0].loss) == pytest.approx(
        np.log(4096) + 0.5, abs=0.3
    )  # logits ~ N(0, 1) add half their variance
    assert [float(row.learning_rate) for row in rows] == pytest.approx([1e-2] * 3, rel=1e-6)
    weights = [np.asarray(leaf, np.float64) for leaf in named_parameters(state.parameters).values()]
    norm = np.sqrt(sum((weight**2).sum() for weight in weights))
    assert float(rows[-1].param_norm) == pytest.approx(norm, rel=1e-5)
    assert int(state.optimizer.count) == 3


def test_the_loss_falls_on_a_repeated_batch(
    step: TrainStep, mesh: jax.sharding.Mesh, records: np.ndarray
) -> None:
    _, rows = run(step, mesh, records, 12)
    assert float(rows[-1].loss) < float(rows[0].loss) - 0.3


def test_the_abstract_state_describes_the_real_one(
    three_steps: tuple[TrainState, list], mesh: jax.sharding.Mesh
) -> None:
    abstract, real = abstract_state(CONFIG, mesh), three_steps[0]
    assert jax.tree.structure(abstract) == jax.tree.structure(real)
    for promised, found in zip(jax.tree.leaves(abstract), jax.tree.leaves(real), strict=True):
        assert (promised.shape, promised.dtype, promised.sharding) == (
            found.shape,
            found.dtype,
            found.sharding,
        )
