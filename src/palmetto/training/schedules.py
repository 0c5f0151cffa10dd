"""Schedules that follow the optimizer step (paper, section 5).

`step` is the number of updates already made: the first update has step 0.
"""

from bisect import bisect_right
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from palmetto.common.errors import PalmettoError


@dataclass(frozen=True)
class LearningRate:
    """A plateau, then the inverse square root of the step: no warm-up (section 5)."""

    peak: float = 1e-2
    """Learning rate of the plateau; Adafactor multiplies it by each weight's root mean square."""

    plateau_steps: int = 10_000
    """Updates at the peak; afterwards peak · sqrt(plateau_steps / step), which is 1/sqrt(step) in the paper."""

    def __post_init__(self) -> None:
        if self.peak <= 0 or self.plateau_steps < 1:
            raise PalmettoError(
                "LearningRate.peak must be above 0 and LearningRate.plateau_steps at least 1."
            )

    def __call__(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """Return the learning rate of the update after `step` updates."""
        t = jnp.maximum(step.astype(jnp.float32) + 1.0, float(self.plateau_steps))
        return jnp.float32(self.peak) * jnp.sqrt(self.plateau_steps / t)


@dataclass(frozen=True)
class BatchSize:
    """Sequences a batch, by batch index: small early for sample efficiency, large later (section 5)."""

    sizes: tuple[int, ...]
    """Sequences a batch, one for each phase."""

    starts: tuple[int, ...] = (0,)
    """Batch index each phase begins at; the first is 0."""

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in zip(self.starts, self.starts[1:], strict=False))
        if (
            len(self.sizes) != len(self.starts)
            or self.starts[:1] != (0,)
            or not ascending
            or min(self.sizes) < 1
        ):
            raise PalmettoError(
                f"BatchSize: sizes {self.sizes} and starts {self.starts} must have equal length, starts must rise "
                "from 0 and every size must be at least 1."
            )

    def size(self, index: int) -> int:
        """Return the sequences of batch `index`."""
        return self.sizes[bisect_right(self.starts, index) - 1]

    def offset(self, index: int) -> int:
        """Return the sequences in all batches before batch `index`."""
        bounds = [*self.starts, max(index, self.starts[-1])]
        total = 0
        for size, start, end in zip(self.sizes, bounds, bounds[1:], strict=False):
            total += size * max(0, min(end, index) - start)
        return total

    def largest(self) -> int:
        """Return the largest size of any phase."""
        return int(np.max(self.sizes))
