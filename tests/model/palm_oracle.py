"""PaLM's forward pass, loss and z-loss in plain float64 NumPy, written from the paper: the oracle of the numerics.

Nothing is fused, batched or shared with the package: one sequence, one head, one position at a time. Weights are
read as they are stored (rotary pairs are neighbouring columns).
"""

import jax
import jax.numpy as jnp
import numpy as np

from palmetto.model.config import ModelConfig
from palmetto.model.spec import Parameters, ParameterSpec, map_specs, named_parameters, parameter_specs

Weights = dict[str, np.ndarray]


def random_parameters(config: ModelConfig, seed: int = 0) -> Parameters:
    """Weights of the size training begins with, the norm scales moved off their constant so that they matter."""
    rng = np.random.default_rng(seed)

    def draw(spec: ParameterSpec) -> jax.Array:
        return jnp.asarray(spec.mean + (spec.std or 0.3) * rng.standard_normal(spec.shape), jnp.float32)

    return map_specs(draw, parameter_specs(config))


def as_float64(parameters: Parameters) -> Weights:
    """The weights by dotted name, in float64."""
    return {name: np.asarray(leaf, np.float64) for name, leaf in named_parameters(parameters).items()}


def _norm(x: np.ndarray, config: ModelConfig) -> np.ndarray:
    if config.norm == "layernorm":
        return (x - x.mean()) / np.sqrt(x.var() + config.norm_epsilon)
    return x / np.sqrt((x**2).mean() + config.norm_epsilon)


def _turn(x: np.ndarray, position: int, config: ModelConfig) -> np.ndarray:
    """Rotary positions: the pair (x[2i], x[2i+1]) as a complex number, times e^(i·position·theta^(-2i/Q))."""
    turned = np.empty_like(x)
    for i in range(config.head_dim // 2):
        angle = position * config.rope_theta ** (-2 * i / config.head_dim)
        pair = (x[2 * i] + 1j * x[2 * i + 1]) * np.exp(1j * angle)
        turned[2 * i], turned[2 * i + 1] = pair.real, pair.imag
    return turned


def _softmax(x: np.ndarray) -> np.ndarray:
    shifted = np.exp(x - x.max())
    return shifted / shifted.sum()


def palm_logits(weights: Weights, tokens: np.ndarray, config: ModelConfig) -> np.ndarray:
    """Logits [S, V] of one sequence of tokens [S]."""
    x = [weights["embedding"][token].copy() for token in tokens]
    for layer in range(config.n_layers):
        w = {name.removeprefix("blocks."): value[layer] for name, value in weights.items() if "." in name}
        scale = w["norm_scale"] if config.norm == "layernorm" else 1.0 + w["norm_scale"]
        h = [_norm(row, config) * scale for row in x]
        keys = [_turn(row @ w["w_k"], position, config) for position, row in enumerate(h)]
        values = [row @ w["w_v"] for row in h]
        new = []
        for position, row in enumerate(h):
            attention = np.zeros(config.d_model)
            for head in range(config.n_heads):
                query = _turn(row @ w["w_q"][:, head], position, config)
                scores = np.array([query @ keys[past] for past in range(position + 1)])
                mixture = _softmax(scores / np.sqrt(config.head_dim))
                mixed = sum(share * values[past] for past, share in enumerate(mixture))
                attention += mixed @ w["w_o"][head]
            gate = row @ w["w_gate"]
            mlp = (gate / (1.0 + np.exp(-gate)) * (row @ w["w_up"])) @ w["w_down"]
            new.append(x[position] + mlp + attention)
        x = new
    return np.stack([_norm(row, config) @ weights["embedding"].T / np.sqrt(config.d_model) for row in x])


def palm_losses(weights: Weights, records: np.ndarray, config: ModelConfig) -> tuple[float, float]:
    """Mean cross-entropy in nats and mean 1e-4·log²Z over records [B, S + 1]."""
    entropies, penalties = [], []
    for record in records:
        for row, target in zip(palm_logits(weights, record[:-1], config), record[1:], strict=True):
            log_z = row.max() + np.log(np.exp(row - row.max()).sum())
            entropies.append(log_z - row[target])
            penalties.append(1e-4 * log_z**2)
    return float(np.mean(entropies)), float(np.mean(penalties))
