"""The compiled side of generation: prefill the multi-query cache, then one token at a time.

Axes: `B` prompts, `P` prompt slots, `T` cache slots, `L` layers, `Q` head size, `V` vocabulary.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from palmetto.inference.types import Sampling
from palmetto.model.attention import Attend, causal_mask, multi_query_attention
from palmetto.model.config import ModelConfig
from palmetto.model.forward import embed, normalise, output_logits, ready_for_products, run_blocks
from palmetto.model.spec import Parameters


def choose(logits: Float[Array, "B V"], keys: Key[Array, " B"], sampling: Sampling) -> Int[Array, " B"]:
    """Choose a token for each row: the most probable one, or a draw after temperature, top-k and nucleus."""
    if sampling.temperature == 0.0:
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    logits = logits / sampling.temperature
    lowest = jnp.finfo(logits.dtype).min
    if 0 < sampling.top_k < logits.shape[-1]:
        least = jax.lax.top_k(logits, sampling.top_k)[0][:, -1:]
        logits = jnp.where(logits < least, lowest, logits)
    if sampling.top_p < 1.0:
        ordered = jnp.sort(logits, axis=-1, descending=True)
        probabilities = jax.nn.softmax(ordered, axis=-1)
        before = jnp.cumsum(probabilities, axis=-1) - probabilities
        least = jnp.where(before < sampling.top_p, ordered, jnp.inf).min(axis=-1, keepdims=True)
        logits = jnp.where(logits < least, lowest, logits)
    return jax.vmap(jax.random.categorical)(keys, logits).astype(jnp.int32)


@partial(jax.jit, static_argnames=("sampling", "config"))
def generate_batch(
    parameters: Parameters,
    tokens: Int[Array, "B P"],
    lengths: Int[Array, " B"],
    numbers: Int[Array, " B"],
    sampling: Sampling,
    config: ModelConfig,
) -> Int[Array, "B N"]:
    """Return `max_new_tokens` new tokens a prompt. Prompts are padded on the right; `numbers` seed the draws."""
    B, P = tokens.shape
    new = sampling.max_new_tokens
    mask = causal_mask(P)
    blocks = ready_for_products(parameters.blocks, config)  # once, not for every token
    seeds = jax.vmap(lambda number: jax.random.fold_in(jax.random.key(sampling.seed), number))(numbers)

    def pick(states: Array, step: Array) -> Array:
        keys = jax.vmap(lambda seed: jax.random.fold_in(seed, step))(seeds)
        return choose(output_logits(parameters, states, config), keys, sampling)

    def attend_prompt(query: Array, key: Array, value: Array) -> Array:
        return multi_query_attention(query, key, value, mask)

    x, (key, value) = run_blocks(
        embed(parameters, tokens), blocks, jnp.arange(P)[None], config, lambda _: attend_prompt
    )
    room = ((0, 0), (0, 0), (0, new), (0, 0))
    caches = (jnp.pad(key, room), jnp.pad(value, room))
    first = pick(normalise(x, config)[jnp.arange(B), lengths - 1], jnp.int32(0))
    slots = jnp.arange(P + new)

    def step(
        carry: tuple[Array, tuple[Array, Array]], number: Array
    ) -> tuple[tuple[Array, tuple[Array, Array]], Array]:
        token, (keys, values) = carry
        place = P + number
        seen = (slots[None] < lengths[:, None]) | ((slots[None] >= P) & (slots[None] <= place))

        def make_attend(layer: tuple[Array, Array]) -> Attend:
            def attend(query: Array, key: Array, value: Array) -> Array:
                full_key = jax.lax.dynamic_update_slice_in_dim(layer[0], key, place, axis=1)
                full_value = jax.lax.dynamic_update_slice_in_dim(layer[1], value, place, axis=1)
                return multi_query_attention(query, full_key, full_value, seen[:, None])

            return attend

        x, (key, value) = run_blocks(
            embed(parameters, token[:, None]),
            blocks,
            (lengths + number)[:, None],
            config,
            make_attend,
            (keys, values),
        )
        caches = (
            jax.lax.dynamic_update_slice_in_dim(keys, key, place, axis=2),
            jax.lax.dynamic_update_slice_in_dim(values, value, place, axis=2),
        )
        following = pick(normalise(x, config)[:, 0], number + 1)
        return (following, caches), following

    _, rest = jax.lax.scan(step, (first, caches), jnp.arange(new - 1))
    return jnp.concatenate((first[:, None], rest.T), axis=1)
