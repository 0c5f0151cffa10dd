"""The compiled side of scoring: a prefix's cache, and a packed batch's token log-probabilities on top of it.

Axes: `N` rows, `R` slots a row, `P` prefix slots, `K` (slot, target) pairs, `L` layers, `Q` head size.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from palmetto.model.attention import Attend, causal_mask, multi_query_attention
from palmetto.model.config import ModelConfig
from palmetto.model.forward import embed, normalise, output_logits, ready_for_products, run_blocks
from palmetto.model.spec import Parameters


class Cache(NamedTuple):
    """Keys and values of a prefix, all layers: 2·Q values a token a layer, since the heads share them."""

    key: Float[Array, "L P Q"]
    value: Float[Array, "L P Q"]
    length: Int[Array, ""]  # slots in use; the rest is padding


@partial(jax.jit, static_argnames="config")
def prefix_cache(
    parameters: Parameters, tokens: Int[Array, " P"], length: Int[Array, ""], config: ModelConfig
) -> Cache:
    """Run a prefix once and keep its keys and values."""
    mask = causal_mask(tokens.shape[0])

    def attend(query: Array, key: Array, value: Array) -> Array:
        return multi_query_attention(query, key, value, mask)

    positions = jnp.arange(tokens.shape[0])[None]
    _, (key, value) = run_blocks(
        embed(parameters, tokens[None]),
        ready_for_products(parameters.blocks, config),
        positions,
        config,
        lambda _: attend,
    )
    return Cache(key[:, 0], value[:, 0], length)


def tree_mask(
    tree: Int[Array, "N R"], branch: Int[Array, "N R"], prefix_slots: int, prefix_length: Int[Array, ""]
) -> Bool[Array, "N R T"]:
    """Return who sees whom: the prefix, one's own stem up to oneself, one's own branch up to oneself."""
    N, R = tree.shape
    same_tree = tree[:, :, None] == tree[:, None, :]
    lineage = (branch[:, None, :] == 0) | (branch[:, None, :] == branch[:, :, None])
    own = same_tree & lineage & causal_mask(R)
    prefix = jnp.broadcast_to(jnp.arange(prefix_slots) < prefix_length, (N, R, prefix_slots))
    return jnp.concatenate((prefix, own), axis=-1)


@partial(jax.jit, static_argnames="config")
def score_batch(
    parameters: Parameters,
    cache: Cache,
    tokens: Int[Array, "N R"],
    positions: Int[Array, "N R"],
    tree: Int[Array, "N R"],
    branch: Int[Array, "N R"],
    pair_slot: Int[Array, " K"],
    pair_target: Int[Array, " K"],
    config: ModelConfig,
) -> tuple[Float[Array, " K"], Bool[Array, " K"]]:
    """Return each pair's log-probability (nats, float32) and whether its target is the most probable token."""
    N = tokens.shape[0]
    mask = tree_mask(tree, branch, cache.key.shape[1], cache.length)

    def make_attend(layer: tuple[Array, Array]) -> Attend:
        prefix_key, prefix_value = (jnp.broadcast_to(part, (N, *part.shape)) for part in layer)

        def attend(query: Array, key: Array, value: Array) -> Array:
            keys = jnp.concatenate((prefix_key, key), axis=1)
            values = jnp.concatenate((prefix_value, value), axis=1)
            return multi_query_attention(query, keys, values, mask)

        return attend

    x, _ = run_blocks(
        embed(parameters, tokens),
        ready_for_products(parameters.blocks, config),
        positions,
        config,
        make_attend,
        (cache.key, cache.value),
    )
    states = normalise(x, config).reshape(-1, config.d_model)[pair_slot]

    def read(pair: tuple[Array, Array]) -> tuple[Array, Array]:
        state, target = pair
        logits = output_logits(parameters, state, config)
        return logits[target] - jax.nn.logsumexp(logits), jnp.argmax(logits) == target

    # In pieces, so that the logits of all pairs never exist at once.
    piece = max(64, (1 << 23) // config.vocab_size)
    return jax.lax.map(read, (states, pair_target), batch_size=piece)
