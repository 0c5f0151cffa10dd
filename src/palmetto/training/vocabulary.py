"""Whose rows of the output matrix a device multiplies with: all of them, or on a mesh its part of the vocabulary.

The loss is written once, against `Vocabulary`; where several devices share the rows, `VocabularyPart` answers with the
same figures, summed over devices.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Vocabulary:
    """All rows on this device."""

    def states(self, own: Float[Array, "N d"]) -> Float[Array, "N D"]:
        """Return all columns of the states, from those that this device holds."""
        return own

    def own_columns(self, x: Float[Array, "N D"]) -> Float[Array, "N d"]:
        """Return this device's columns of a sum that every device has a part of."""
        return x

    def masked(self, logits: Float[Array, "B S R"]) -> Float[Array, "B S R"]:
        """Return the logits, -inf where a row stands for no token."""
        return logits

    def largest(self, logits: Float[Array, "B S R"]) -> Float[Array, "B S"]:
        """Return the largest logit of the whole vocabulary."""
        return logits.max(axis=-1)

    def total(self, powers: Float[Array, "B S R"]) -> Float[Array, "B S"]:
        """Return the sum over the whole vocabulary."""
        return powers.sum(axis=-1)

    def is_wanted(self, wanted: Int[Array, "B S"], rows: int) -> Bool[Array, "B S R"]:
        """Return which of this device's rows is the target."""
        return jnp.arange(rows) == wanted[..., None]

    def chosen(self, logits: Float[Array, "B S R"], wanted: Int[Array, "B S"]) -> Float[Array, "B S"]:
        """Return the target's logit."""
        return jnp.take_along_axis(logits, wanted[..., None], axis=-1)[..., 0]


@dataclass(frozen=True)
class VocabularyPart(Vocabulary):
    """Rows of one device among those along a mesh axis, inside `jax.shard_map`.

    States and their slopes are divided by columns along the same axis.
    """

    axis: str
    """The mesh axis."""

    vocab_size: int
    """Tokens there are. Rows beyond them make the parts equal."""

    rows: int
    """Rows of each part."""

    parts: int
    """Devices along the axis."""

    def _first(self) -> Array:
        return jax.lax.axis_index(self.axis) * self.rows

    def states(self, own: Float[Array, "N d"]) -> Float[Array, "N D"]:
        """Gather the columns."""
        return jax.lax.all_gather(own, self.axis, axis=1, tiled=True)

    def own_columns(self, x: Float[Array, "N D"]) -> Float[Array, "N d"]:
        """Sum over devices, and keep a share of the columns."""
        return jax.lax.psum_scatter(x, self.axis, scatter_dimension=1, tiled=True)

    def masked(self, logits: Float[Array, "B S R"]) -> Float[Array, "B S R"]:
        """Take out the rows that only fill up."""
        if self.vocab_size == self.rows * self.parts:
            return logits
        return jnp.where(self._first() + jnp.arange(self.rows) < self.vocab_size, logits, -jnp.inf)

    def largest(self, logits: Float[Array, "B S R"]) -> Float[Array, "B S"]:
        """Compare over devices."""
        return jax.lax.pmax(logits.max(axis=-1), self.axis)

    def total(self, powers: Float[Array, "B S R"]) -> Float[Array, "B S"]:
        """Sum over devices."""
        return jax.lax.psum(powers.sum(axis=-1), self.axis)

    def is_wanted(self, wanted: Int[Array, "B S"], rows: int) -> Bool[Array, "B S R"]:
        """Return which of this device's rows is the target; of most targets, none."""
        return self._first() + jnp.arange(rows) == wanted[..., None]

    def chosen(self, logits: Float[Array, "B S R"], wanted: Int[Array, "B S"]) -> Float[Array, "B S"]:
        """Take the target's logit from the device that has it."""
        here = wanted - self._first()
        own = super().chosen(logits, jnp.clip(here, 0, self.rows - 1))
        return jax.lax.psum(jnp.where((here >= 0) & (here < self.rows), own, 0.0), self.axis)
