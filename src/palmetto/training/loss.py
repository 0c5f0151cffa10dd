"""The training loss: mean token cross-entropy plus z-loss (paper, section 5). No label smoothing.

The logits of a batch, B x S x V numbers, would be the largest array of a step, so they never exist: positions are
taken a chunk at a time, and where a gradient is wanted it is taken chunk by chunk on the way forward. Nothing is
computed twice, and a token costs the same 6·V·D FLOPs as by the plain form.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from palmetto.model.axes import MESH_AXES, on_mesh, partition, ways
from palmetto.model.config import ModelConfig
from palmetto.model.execution import ExecutionConfig, resolve_dtype
from palmetto.model.forward import PLAIN, hidden_states, scaled_logits
from palmetto.model.spec import Parameters
from palmetto.training.vocabulary import Vocabulary, VocabularyPart

Z_LOSS_WEIGHT = 1e-4  # section 5: 10^-4 · log² Z
# Each device's rows of a divided vocabulary are a multiple of a TPU register's width: for 21,334 rows the TPU's
# compiler took ten times as long as for 21,376 (docs/log.md).
_LANES = 128


class LossParts(NamedTuple):
    """Means over the tokens of a batch."""

    cross_entropy: Float[Array, ""]  # nats a token
    z_loss: Float[Array, ""]  # 1e-4 · log² Z, already weighted


def token_losses(
    logits: Float[Array, "*A V"], targets: Int[Array, "*A"]
) -> tuple[Float[Array, "*A"], Float[Array, "*A"]]:
    """Return each token's cross-entropy in nats and its log Z, both float32."""
    log_z = jax.nn.logsumexp(logits, axis=-1)
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return log_z - chosen, log_z


def batch_loss(
    parameters: Parameters,
    records: Int[Array, "B T"],
    config: ModelConfig,
    execution: ExecutionConfig = PLAIN,
    weights: Float[Array, "B S"] | None = None,
    dropout_key: Key[Array, ""] | None = None,
) -> tuple[Float[Array, ""], LossParts]:
    """Return the loss of records of `sequence_length` + 1 tokens, and its parts.

    Args:
        parameters: the weights of the model.
        records: token ids; each position predicts the next one.
        config: the model.
        execution: how to compute; `loss_chunk` positions of each sequence have logits at once.
        weights: how much each predicted token counts (finetuning: 1 for targets, 0 for prompts and padding); the
            mean is over what counts, and a batch in which nothing counts has a loss of 0. All count 1 if left out.
        dropout_key: seeds `execution.dropout`; without a key nothing is dropped.
    """
    hidden = hidden_states(parameters, records[:, :-1], config, execution, dropout_key)
    targets = records[:, 1:]
    if weights is None:
        shares = jnp.full(targets.shape, 1.0 / targets.size, jnp.float32)
    else:
        total = weights.sum()
        shares = weights / jnp.where(total > 0, total, 1.0)
    loss, parts = _weighted_loss(hidden, parameters.embedding, targets, shares, config, execution.loss_chunk)
    return loss, jax.lax.stop_gradient(parts)


def hidden_token_losses(
    hidden: Float[Array, "B S D"],
    embedding: Float[Array, "V D"],
    targets: Int[Array, "B S"],
    config: ModelConfig,
    chunk: int = PLAIN.loss_chunk,
) -> tuple[Float[Array, "B S"], Float[Array, "B S"]]:
    """Return each token's cross-entropy in nats and its log Z from states, without B·S·V logits.

    For measuring only; training differentiates `batch_loss`.
    """
    rows = embedding.astype(resolve_dtype(config))

    def piece(carry: None, part: Callable[[Array], Array]) -> tuple[None, tuple[Array, Array]]:
        return carry, token_losses(_logits(_flat(part(hidden), rows), rows, part(targets)), part(targets))

    return _by_chunks(piece, None, targets.shape[1], chunk)[1]


def _flat(hidden: Float[Array, "B S D"], rows: Float[Array, "V D"]) -> Float[Array, "N D"]:
    """Return states as the matrix that the products want."""
    return hidden.reshape(-1, hidden.shape[-1]).astype(rows.dtype)


def _logits(
    states: Float[Array, "N D"], rows: Float[Array, "V D"], like: Int[Array, "B S"]
) -> Float[Array, "B S V"]:
    """Return the logits of a chunk's states in the shape of its targets."""
    return scaled_logits(states, rows).reshape(*like.shape, rows.shape[0])


def _by_chunks(
    piece: Callable[[Any, Callable[[Array], Array]], tuple[Any, Any]], carry: Any, length: int, chunk: int
) -> tuple[Any, Any]:
    """Run `piece(carry, part) -> (carry, results [B, chunk, ...])` along the sequence; join the results.

    `part` cuts a chunk of positions out of an array [B, S, ...]. A loop takes the whole chunks, one at a time
    whatever the compiler would like; what is left of the sequence follows as a shorter one.
    """
    whole = length // chunk
    joined = []

    def cut(start: Any, size: int) -> Callable[[Array], Array]:
        return lambda array: jax.lax.dynamic_slice_in_dim(array, start, size, axis=1)

    if whole:
        carry, stacked = jax.lax.scan(
            lambda carry, index: piece(carry, cut(index * chunk, chunk)), carry, jnp.arange(whole)
        )
        joined.append(
            jax.tree.map(lambda x: x.swapaxes(0, 1).reshape(x.shape[1], whole * chunk, *x.shape[3:]), stacked)
        )
    if length % chunk:
        carry, last = piece(carry, cut(whole * chunk, length % chunk))
        joined.append(last)
    return carry, jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1), *joined)


@partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def _weighted_loss(
    hidden: Float[Array, "B S D"],
    embedding: Float[Array, "V D"],
    targets: Int[Array, "B S"],
    shares: Float[Array, "B S"],
    config: ModelConfig,
    chunk: int,
) -> tuple[Float[Array, ""], LossParts]:
    """Return the loss weighted by shares that sum to 1. Gradients flow through the loss, not through its parts."""
    return _total(*hidden_token_losses(hidden, embedding, targets, config, chunk), shares)


def _total(
    entropy: Float[Array, "B S"], log_z: Float[Array, "B S"], shares: Float[Array, "B S"]
) -> tuple[Float[Array, ""], LossParts]:
    parts = LossParts((shares * entropy).sum(), Z_LOSS_WEIGHT * (shares * jnp.square(log_z)).sum())
    return parts.cross_entropy + parts.z_loss, parts


def _loss_and_gradient(
    hidden: Float[Array, "B S D"],
    embedding: Float[Array, "V D"],
    targets: Int[Array, "B S"],
    shares: Float[Array, "B S"],
    config: ModelConfig,
    chunk: int,
) -> tuple[tuple[Float[Array, ""], LossParts], tuple[Array, Array, Array]]:
    """Return the loss and its slopes by the states, the embedding and the shares, while each chunk is at hand."""
    rows = embedding.astype(resolve_dtype(config))
    if on_mesh():
        by_hidden, by_embedding, entropy, log_z = _divided_slopes(hidden, rows, targets, shares, chunk)
    else:
        by_hidden, by_embedding, entropy, log_z = _slopes(hidden, rows, targets, shares, chunk, Vocabulary())
    by_shares = entropy + Z_LOSS_WEIGHT * jnp.square(log_z)
    slopes = (by_hidden.astype(hidden.dtype), by_embedding.T.astype(embedding.dtype), by_shares)
    return _total(entropy, log_z, shares), slopes


def _slopes(
    hidden: Float[Array, "B S d"],
    rows: Float[Array, "R D"],
    targets: Int[Array, "B S"],
    shares: Float[Array, "B S"],
    chunk: int,
    vocabulary: Vocabulary,
) -> tuple[Float[Array, "B S d"], Float[Array, "D R"], Float[Array, "B S"], Float[Array, "B S"]]:
    """Return the slopes by the states and by the rows, each token's cross-entropy in nats and its log Z."""
    width = rows.shape[1]

    def piece(slope: Array, part: Callable[[Array], Array]) -> tuple[Array, tuple[Array, Array, Array]]:
        states, wanted, share = vocabulary.states(_flat(part(hidden), rows)), part(targets), part(shares)
        logits = vocabulary.masked(_logits(states, rows, wanted))
        # One exponential a logit serves both its loss and its slope.
        largest = vocabulary.largest(logits)
        powers = jnp.exp(logits - largest[..., None])
        total = vocabulary.total(powers)
        log_z = largest + jnp.log(total)
        entropy = log_z - vocabulary.chosen(logits, wanted)
        # d/dx of -x[t] + log Z + w·log²Z is softmax(x)·(1 + 2·w·log Z) - onehot(t); the root of D is the logits' own.
        push = share * width**-0.5
        pull = push * (1.0 + 2.0 * Z_LOSS_WEIGHT * log_z) / total
        by_logits = powers * pull[..., None]
        by_logits = by_logits - jnp.where(vocabulary.is_wanted(wanted, rows.shape[0]), push[..., None], 0.0)
        by_logits = by_logits.reshape(-1, rows.shape[0]).astype(rows.dtype)
        by_states = jnp.matmul(by_logits, rows, preferred_element_type=jnp.float32)
        by_states = vocabulary.own_columns(by_states).reshape(*wanted.shape, -1)
        # The narrow matrix is the one to transpose: the other way round takes a third longer on a CPU (docs/log.md).
        narrow = jax.lax.optimization_barrier(states.T)
        slope = slope + jnp.matmul(narrow, by_logits, preferred_element_type=jnp.float32)
        return slope, (by_states, entropy, log_z)

    by_rows, (by_hidden, entropy, log_z) = _by_chunks(
        piece, jnp.zeros(rows.shape[::-1], jnp.float32), targets.shape[1], chunk
    )
    return by_hidden, by_rows, entropy, log_z


def _divided_slopes(
    hidden: Float[Array, "B S D"],
    rows: Float[Array, "V D"],
    targets: Int[Array, "B S"],
    shares: Float[Array, "B S"],
    chunk: int,
) -> tuple[Float[Array, "B S D"], Float[Array, "D V"], Float[Array, "B S"], Float[Array, "B S"]]:
    """Return what `_slopes` does on the mesh that is set: the rows divided over `model`, the batch over the others.

    Written out for each device, because a compiler that divides the loop over chunks by itself sums the slope by the
    rows over all devices in every turn of it. Here that is done once a step.
    """
    pod, data, model = MESH_AXES
    tokens, parts = rows.shape[0], ways("table_rows")
    each = -(-tokens // (parts * _LANES)) * _LANES

    def on_device(hidden: Array, columns: Array, targets: Array, shares: Array) -> tuple[Array, ...]:
        filled = jnp.pad(columns, ((0, each * parts - tokens), (0, 0)))
        own = jax.lax.all_to_all(filled, model, split_axis=0, concat_axis=1, tiled=True)
        vocabulary = VocabularyPart(model, tokens, each, parts)
        by_hidden, by_rows, entropy, log_z = _slopes(hidden, own, targets, shares, chunk, vocabulary)
        by_columns = jax.lax.all_to_all(by_rows, model, split_axis=0, concat_axis=1, tiled=True)[:, :tokens]
        by_columns = jax.lax.psum_scatter(by_columns, data, scatter_dimension=0, tiled=True)
        return by_hidden, jax.lax.psum(by_columns, pod), entropy, log_z

    states, sequences = partition("batch", "position", "residual"), partition("batch", "position")
    divided: Any = jax.shard_map(
        on_device,
        in_specs=(states, partition("vocab", "residual"), sequences, sequences),
        out_specs=(states, partition("embed_table", "vocab"), sequences, sequences),
        check_vma=False,
    )
    return divided(hidden, rows, targets, shares)


def _pull_back(
    config: ModelConfig,
    chunk: int,
    slopes: tuple[Array, Array, Array],
    cotangents: tuple[Float[Array, ""], LossParts],
) -> tuple[Array, Array, None, Array]:
    by_hidden, by_embedding, by_shares = slopes
    by_loss, _ = cotangents
    return by_loss * by_hidden, by_loss * by_embedding, None, by_loss * by_shares


_weighted_loss.defvjp(_loss_and_gradient, _pull_back)
