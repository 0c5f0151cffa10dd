"""Detects loss spikes (paper, section 5.1) from the losses and gradient norms of the steps.

A step is high when its loss, or the logarithm of its gradient norm, lies more than `threshold` robust standard
deviations above the median of the steps before it; `patience` high steps in a row are a spike, and one that is not
finite is a spike at once. Median and median absolute deviation do not move for a few outliers, and a falling loss
only makes the test milder.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np

from palmetto.common.errors import PalmettoError

# A normal distribution's standard deviation is this many median absolute deviations.
_ROBUST = 1.4826


@dataclass(frozen=True)
class SpikeConfig:
    """The remedy for loss spikes; the defaults are section 5.1's, or ours where it is silent."""

    enabled: bool = True
    """Whether spikes are looked for; without, a loss that is not finite ends the run."""

    rewind: int = 100
    """Training goes back to a checkpoint at least this many updates before the spike (section 5.1: roughly 100)."""

    skip: int = 400
    """Batches left out from that checkpoint on (section 5.1: roughly 200 to 500, those seen before and during the
    spike among them)."""

    threshold: float = 6.0
    """Robust standard deviations above the median that make a step high (not stated in the paper)."""

    minimum_rise: float = 0.02
    """Share of the median by which it must be exceeded too, so that a very even stretch raises no alarm."""

    window: int = 100
    """Steps that the median is taken over; the first steps of a run, this many, are only tested for being finite."""

    patience: int = 3
    """High steps in a row that make a spike: one odd batch is none."""

    max_rewinds: int = 30
    """Rewinds after which the run gives up; the paper's largest model saw roughly 20 spikes."""

    def __post_init__(self) -> None:
        for field, value, least in (
            ("rewind", self.rewind, 0),
            ("skip", self.skip, 1),
            ("window", self.window, 3),
            ("patience", self.patience, 1),
            ("max_rewinds", self.max_rewinds, 0),
        ):
            if value < least:
                raise PalmettoError(f"SpikeConfig.{field} is {value}; it must be at least {least}.")
        if self.threshold <= 0 or self.minimum_rise < 0:
            raise PalmettoError(
                "SpikeConfig.threshold must be above 0 and SpikeConfig.minimum_rise not below it."
            )


@dataclass(frozen=True)
class Spike:
    """A spike that was seen."""

    first_step: int
    """Number of the first high step (1 is the run's first update)."""

    seen_step: int
    """Number of the step at which it was certain."""

    signal: Literal["loss", "grad_norm"]
    """What was high, or not finite, at `seen_step`."""

    value: float
    """The loss in nats a token, or the gradient norm, at `seen_step`."""

    median: float
    """Of the window before it, in the same unit; not finite when the window was not yet full."""

    deviations: float
    """Robust standard deviations above the median."""


class SpikeDetector:
    """Looks at one step after another; what it knows is the last `window` steps and how many in a row were high."""

    def __init__(self, config: SpikeConfig) -> None:
        self._config = config
        self._losses: deque[float] = deque(maxlen=config.window)
        self._norms: deque[float] = deque(maxlen=config.window)
        self._high = 0

    @property
    def memory(self) -> int:
        """Steps that decide all it will say: replaying so many makes a new detector equal to this one."""
        return self._config.window + self._config.patience

    def observe(self, step: int, loss: float, grad_norm: float) -> Spike | None:
        """Take the figures of step number `step` (1, 2, ...) and return the spike they complete, if any."""
        finite = math.isfinite(loss) and math.isfinite(grad_norm)
        signal: Literal["loss", "grad_norm"] = "loss"
        median = deviations = math.nan
        if not finite:
            signal = "grad_norm" if math.isfinite(loss) else "loss"
            deviations = math.inf
        elif len(self._losses) == self._config.window:
            loss_median, loss_above = _above(self._losses, loss)
            norm_median, norm_above = _above(self._norms, _log(grad_norm))
            norm_median = math.exp(norm_median)
            if self._high_now(loss, loss_median, loss_above):
                median, deviations = loss_median, loss_above
            elif self._high_now(grad_norm, norm_median, norm_above):
                signal, median, deviations = "grad_norm", norm_median, norm_above
        if finite:
            self._losses.append(loss)
            self._norms.append(_log(grad_norm))
        self._high = 0 if math.isnan(deviations) else self._high + 1
        if finite and self._high < self._config.patience:
            return None
        value = loss if signal == "loss" else grad_norm
        return Spike(step - self._high + 1, step, signal, value, median, deviations)

    def _high_now(self, value: float, median: float, deviations: float) -> bool:
        return deviations > self._config.threshold and value > median + self._config.minimum_rise * abs(
            median
        )


def _log(norm: float) -> float:
    return math.log(max(norm, np.finfo(np.float64).tiny))


def _above(values: deque[float], value: float) -> tuple[float, float]:
    """Return the median of `values` and the robust standard deviations that `value` lies above it."""
    window = np.fromiter(values, np.float64)
    median = float(np.median(window))
    spread = _ROBUST * float(np.median(np.abs(window - median)))
    rise = value - median
    return median, rise / spread if spread else math.copysign(math.inf, rise) if rise else 0.0
