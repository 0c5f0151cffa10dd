"""PaLM's Adafactor, update by update, against a float64 NumPy oracle of the seven steps of `t5x/adafactor.py`."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from palmetto.model.config import ModelConfig
from palmetto.model.spec import Parameters, map_specs, named_parameters, parameter_specs
from palmetto.training.optimizer import OptimizerConfig, palm_adafactor
from palmetto.training.schedules import LearningRate

MODEL = ModelConfig("tiny", n_layers=3, d_model=4, n_heads=2, head_dim=2, vocab_size=5, sequence_length=4)
SPECS = parameter_specs(MODEL)
CONFIG = OptimizerConfig(learning_rate=LearningRate(peak=1e-2, plateau_steps=2))
Arrays = dict[str, np.ndarray]


class Oracle:
    """The seven steps in float64, a plain loop over weights and layers."""

    def __init__(self, weights: Arrays) -> None:
        self.weights = {name: weight.astype(np.float64) for name, weight in weights.items()}
        self.m = {name: np.zeros_like(weight) for name, weight in self.weights.items()}
        self.v = {name: np.zeros_like(weight) for name, weight in self.weights.items()}
        self.clipped_norm: list[bool] = []
        self.clipped_rms: list[bool] = []

    def update(self, step: int, gradients: Arrays) -> None:
        lr = 1e-2 * np.sqrt(2 / max(2, step + 1))
        norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients.values()))
        factor = 1.0 if norm == 0 else min(1.0, 1.0 / norm)
        self.clipped_norm.append(factor < 1)
        beta2 = 1 - (step + 1) ** -0.8
        for name, weight in self.weights.items():
            stacked = name != "embedding"
            for layer in range(len(weight)) if stacked else (slice(None),):
                p, g = weight[layer], gradients[name][layer].astype(np.float64) * factor
                self.v[name][layer] = beta2 * self.v[name][layer] + (1 - beta2) * (g**2 + 1e-30)
                u = g / np.sqrt(self.v[name][layer])
                rms = np.sqrt((u**2).mean())
                self.clipped_rms.append(rms > 1.01)
                u = u / max(1.0, rms)
                u = u * lr * max(np.sqrt((p**2).mean()), 1e-3)
                self.m[name][layer] = 0.9 * self.m[name][layer] + 0.1 * u
                weight[layer] = (1 - lr**2) * p - self.m[name][layer]


def draw(specs: Parameters, rng: np.random.Generator, scale: float) -> Parameters:
    # Every layer at another scale, so that a root mean square over the whole stack would show.
    def one(spec: object) -> jax.Array:
        shape = spec.shape  # type: ignore[attr-defined]
        per_layer = 3.0 ** np.arange(shape[0]).reshape(-1, *([1] * (len(shape) - 1)))
        return jnp.asarray(scale * per_layer * rng.standard_normal(shape), jnp.float32)

    return map_specs(one, specs)


def arrays(tree: Parameters) -> Arrays:
    return {name: np.array(leaf) for name, leaf in named_parameters(tree).items()}


@pytest.mark.parametrize(
    ("scales", "norm_clipped", "rms_clipped"),
    [
        pytest.param([1.0, 3.0, 10.0, 0.5, 20.0, 1.0], True, True, id="gradients above the global norm"),
        pytest.param([1e-6, 1e-5, 1e-4, 1e-4, 1e-3, 1e-5], False, True, id="small and growing"),
        pytest.param([1e-3, 1e-5, 1e-6, 1e-6, 1e-6, 1e-6], False, False, id="small and falling"),
        pytest.param([0.0, 1e-3, 0.0, 0.0, 1e-3, 0.0], False, True, id="some of them zero"),
    ],
)
def test_every_update_equals_the_oracle(scales: list[float], norm_clipped: bool, rms_clipped: bool) -> None:
    rng = np.random.default_rng(0)
    parameters = draw(SPECS, rng, 0.05)
    transform = palm_adafactor(CONFIG, SPECS)
    state, oracle = transform.init(parameters), Oracle(arrays(parameters))
    update = jax.jit(transform.update)
    for step, scale in enumerate(scales):
        gradients = draw(SPECS, rng, scale)
        updates, state = update(gradients, state, parameters)
        parameters = jax.tree.map(jnp.add, parameters, updates)
        oracle.update(step, arrays(gradients))
        for found, expected in (
            (parameters, oracle.weights),
            (state.momentum, oracle.m),
            (state.second_moment, oracle.v),
        ):
            for name, array in arrays(found).items():
                np.testing.assert_allclose(
                    array, expected[name], rtol=1e-5, atol=1e-5 * np.abs(expected[name]).max()
                )
    assert any(oracle.clipped_norm) == norm_clipped
    assert any(oracle.clipped_rms) == rms_clipped
    assert int(state.count) == len(scales)


def test_a_weight_at_zero_can_move() -> None:
    """Oracle: at the first update |u| = 1, so m = 0.1·lr·max(0, 1e-3)·sign(g) and p = -m."""
    specs = parameter_specs(replace(MODEL, norm="rmsnorm"))
    parameters = map_specs(lambda spec: jnp.zeros(spec.shape, jnp.float32), specs)
    gradients = jax.tree.map(lambda p: jnp.full_like(p, -1e-3), parameters)
    transform = palm_adafactor(OptimizerConfig(), specs)
    updates, _ = jax.jit(transform.update)(gradients, transform.init(parameters), parameters)
    np.testing.assert_allclose(updates.blocks.norm_scale, 0.1 * 1e-2 * 1e-3, rtol=1e-5)


def test_beta2_is_one_minus_t_to_minus_four_fifths() -> None:
    """Solved out of the second moment: v_t = b·v_(t-1) + (1-b)·g_t². Values by hand: 1 - 1/2^0.8 = 0.42565 ..."""
    parameters = map_specs(lambda spec: jnp.ones(spec.shape, jnp.float32), SPECS)
    transform = palm_adafactor(OptimizerConfig(), SPECS)
    state, found, before = transform.init(parameters), [], 0.0
    update = jax.jit(transform.update)
    for t in range(1, 6):
        g = 1e-3 * t
        _, state = update(jax.tree.map(lambda p, g=g: p * 0 + g, parameters), state, parameters)
        now = float(state.second_moment.embedding[0, 0])
        found.append(1.0 if before == g**2 else (now - g**2) / (before - g**2))
        before = now
    np.testing.assert_allclose(found, [0.0, 0.425651, 0.584756, 0.670123, 0.724054], atol=1e-5)


def test_zero_gradients_leave_only_the_decay() -> None:
    """Oracle: with no momentum p becomes (1 - lr²)·p."""
    parameters = draw(SPECS, np.random.default_rng(1), 1.0)
    transform = palm_adafactor(OptimizerConfig(), SPECS)
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    updates, state = jax.jit(transform.update)(zeros, transform.init(parameters), parameters)
    for name, update in arrays(updates).items():
        np.testing.assert_allclose(update, -1e-4 * arrays(parameters)[name], rtol=1e-5)
    assert not any(moment.any() for moment in arrays(state.momentum).values())


def test_the_state_is_float32_whatever_the_update_count() -> None:
    parameters = draw(SPECS, np.random.default_rng(1), 1.0)
    state = palm_adafactor(OptimizerConfig(), SPECS).init(parameters)
    assert state.count.dtype == jnp.int32
    assert {leaf.dtype for leaf in jax.tree.leaves((state.momentum, state.second_moment))} == {
        jnp.dtype("float32")
    }
