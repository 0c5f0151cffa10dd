"""Held-out bits per byte: negative log-likelihood of text tokens and [eod] over the UTF-8 bytes of the text.

The held-out documents stand one after the other; windows of the sequence length are disjoint in what they predict,
and the very first token is predicted from [eod], as after a document.
"""

import math
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Array, Float, Int

from palmetto.common.files import read_json_lines, sha256_bytes
from palmetto.corpus.records import PackedRecords
from palmetto.model.config import ModelConfig
from palmetto.model.forward import hidden_states
from palmetto.model.spec import Parameters
from palmetto.sharding import batch_sharding
from palmetto.training.loss import hidden_token_losses
from palmetto.training.processes import compile_together, whole

_ROWS = 8


@partial(jax.jit, static_argnames="config")
def _window_losses(
    parameters: Parameters, inputs: Int[Array, "B S"], targets: Int[Array, "B S"], config: ModelConfig
) -> Float[Array, "B S"]:
    hidden = hidden_states(parameters, inputs, config)
    return hidden_token_losses(hidden, parameters.embedding, targets, config)[0]


@dataclass(frozen=True)
class HeldoutLosses:
    """Loss of each held-out document, [eod] included."""

    nats: Float[np.ndarray, " N"]
    """Negative log-likelihood of each document, summed over its tokens."""

    bytes: Int[np.ndarray, " N"]
    """UTF-8 bytes of each document."""

    tokens: int
    """Tokens of all of them."""

    @property
    def bits_per_byte(self) -> float:
        """Bits per byte over all documents."""
        return float(self.nats.sum() / (math.log(2) * self.bytes.sum()))


class HeldoutText:
    """Held-out documents up to a budget of tokens: whole ones, at least one, in an order that their ids scramble."""

    def __init__(self, corpus: Path, eod_id: int, max_tokens: int) -> None:
        """Choose documents of `<corpus>/heldout.documents.jsonl.gz`; a larger budget adds to a smaller one's."""
        tokens = PackedRecords(corpus, "heldout").tokens
        rows = sorted(
            read_json_lines(corpus / "heldout.documents.jsonl.gz"),
            key=lambda row: sha256_bytes(row["id"].encode()),
        )
        chosen, counts, sizes, total = [], [], [], 0
        for row in rows:
            if total == 0 or total + row["tokens"] <= max_tokens:
                chosen.append(np.asarray(tokens[row["start"] : row["start"] + row["tokens"]], np.int32))
                counts.append(row["tokens"])
                sizes.append(row["bytes"])
                total += row["tokens"]
        self._tokens = np.concatenate(chosen)
        self._previous = np.concatenate(([eod_id], self._tokens[:-1])).astype(np.int32)
        self._ends = np.cumsum(counts)
        self._bytes = np.array(sizes, np.int64)

    def measure(self, parameters: Parameters, config: ModelConfig) -> HeldoutLosses:
        """Return the loss of every document; windows are divided over the mesh that the weights lie on."""
        S, mesh = config.sequence_length, _mesh_of(parameters)
        B = _ROWS if mesh is None else math.lcm(_ROWS, mesh.shape["pod"] * mesh.shape["data"])
        total = len(self._tokens)
        windows = []
        with jax.set_mesh(mesh) if mesh else nullcontext():
            for start in range(0, total, B * S):
                rows = [
                    _placed(tokens[start : start + B * S], (B, S), mesh)
                    for tokens in (self._previous, self._tokens)
                ]
                if start == 0:
                    compile_together(_window_losses.lower, parameters, *rows, config)
                windows.append(_window_losses(parameters, *rows, config))
            # Read at the end, and at once: nothing waits between one window and the next.
            losses = whole(jnp.concatenate(windows)).astype(np.float64).reshape(-1)[:total]
        nats = np.array([part.sum() for part in np.split(losses, self._ends[:-1])])
        return HeldoutLosses(nats, self._bytes, total)


def _mesh_of(parameters: Parameters) -> Mesh | None:
    """Return the mesh of several devices that weights lie on, if they do."""
    sharding = parameters.embedding.sharding if isinstance(parameters.embedding, jax.Array) else None
    mesh = sharding.mesh if isinstance(sharding, NamedSharding) else None
    return mesh if isinstance(mesh, Mesh) and mesh.size > 1 else None


def _placed(
    tokens: Int[np.ndarray, " N"], shape: tuple[int, int], mesh: Mesh | None
) -> Int[Array, "B S"] | np.ndarray:
    """Return tokens as rows, zeros behind them, each row where the mesh has it."""
    rows = np.pad(tokens, (0, math.prod(shape) - len(tokens))).reshape(shape)
    if mesh is None:
        return rows
    return jax.make_array_from_callback(shape, batch_sharding(mesh), rows.__getitem__)
