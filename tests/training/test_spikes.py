"""The spike detector against hand-worked cases and against medians that Python's `statistics` computes."""

import math
import statistics
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmetto.common.errors import PalmettoError
from palmetto.training.config import TrainingConfig
from palmetto.training.schedules import BatchSize
from palmetto.training.spikes import Spike, SpikeConfig, SpikeDetector

CONFIG = SpikeConfig(rewind=1, skip=5, threshold=2.0, minimum_rise=0.02, window=5, patience=1)
# Median 3; distances from it 2, 1, 0, 1, 2, so the median absolute deviation is 1 and the robust one 1.4826.
LOSSES = (1.0, 5.0, 2.0, 4.0, 3.0)
Step = tuple[float, float]


def watch(config: SpikeConfig, steps: list[Step]) -> Spike | None:
    """Return the first spike of a run."""
    detector = SpikeDetector(config)
    found = (detector.observe(number, *step) for number, step in enumerate(steps, start=1))
    return next((spike for spike in found if spike is not None), None)


def after(*losses: float) -> list[Step]:
    return [(loss, 1.0) for loss in (*LOSSES, *losses)]


def test_a_loss_above_median_and_threshold_is_a_spike() -> None:
    """By hand: 3 + 2 x 1.4826 = 5.9652."""
    assert watch(CONFIG, after(5.96)) is None
    assert watch(CONFIG, after(5.97)) == Spike(6, 6, "loss", 5.97, 3.0, (5.97 - 3.0) / 1.4826)


def test_a_low_loss_is_no_spike() -> None:
    assert watch(CONFIG, after(-100.0)) is None


def test_the_gradient_norm_alone_is_judged_by_its_logarithm() -> None:
    """By hand: norms e^1 .. e^5 have the logarithms of `LOSSES`, so e^5.9652 is the limit."""
    steps = [(2.0, math.exp(loss)) for loss in LOSSES]
    assert watch(CONFIG, [*steps, (2.0, math.exp(5.96))]) is None
    spike = watch(CONFIG, [*steps, (2.0, math.exp(5.97))])
    assert spike is not None
    assert (spike.signal, spike.first_step) == ("grad_norm", 6)
    assert spike.median == pytest.approx(math.exp(3))
    assert spike.deviations == pytest.approx(2.97 / 1.4826)


@pytest.mark.parametrize(("rise", "seen"), [(0.019, False), (0.021, True)])
def test_an_even_stretch_needs_the_minimum_rise(rise: float, seen: bool) -> None:
    """Every loss 4: the deviation is zero, and 2 % of 4 decide."""
    steps = [(4.0, 1.0)] * 5 + [(4.0 * (1 + rise), 1.0)]
    assert (watch(CONFIG, steps) is not None) == seen


def test_a_gradient_of_zero_is_not_an_error() -> None:
    assert watch(CONFIG, [(4.0, 0.0)] * 7) is None


def test_fewer_high_steps_in_a_row_than_patience_are_none() -> None:
    patient = replace(CONFIG, patience=3, window=7, threshold=4.0)
    steps = [(loss, 1.0) for loss in (*LOSSES, 3.0, 3.0)]
    high, normal = (50.0, 1.0), (3.0, 1.0)
    assert watch(patient, [*steps, high, normal, high, high, normal, normal]) is None
    spike = watch(patient, [*steps, high, normal, high, high, high])
    assert spike is not None
    assert (spike.first_step, spike.seen_step) == (10, 12)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_a_spike_at_once_even_at_the_first_step(loss: float) -> None:
    spike = watch(SpikeConfig(), [(loss, 1.0)])
    assert spike is not None
    assert (spike.first_step, spike.seen_step, spike.signal) == (1, 1, "loss")
    assert repr(spike.value) == repr(loss)


@pytest.mark.parametrize("norm", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_is_a_spike_at_once(norm: float) -> None:
    spike = watch(SpikeConfig(), [(3.0, 1.0), (3.0, norm)])
    assert spike is not None
    assert (spike.first_step, spike.seen_step, spike.signal) == (2, 2, "grad_norm")


def test_a_spike_that_ends_in_infinity_begins_with_its_first_high_step() -> None:
    spike = watch(replace(CONFIG, patience=5), after(50.0, 60.0, math.inf))
    assert spike is not None
    assert (spike.first_step, spike.seen_step) == (6, 8)


def test_the_first_steps_are_only_tested_for_being_finite() -> None:
    """Until the window is full there is no median to trust."""
    assert watch(CONFIG, [(1.0, 1.0), (1.1, 1.0), (1.0, 1.0), (1e9, 1e9), (1.0, 1.0)]) is None


def test_a_rise_as_slow_as_its_own_spread_is_none() -> None:
    """The limit of the test: a loss that doubles every 35 steps drifts, and its window drifts with it."""
    assert watch(SpikeConfig(), [(1.02**step, 1.0) for step in range(300)]) is None


def oracle(config: SpikeConfig, steps: list[Step]) -> tuple[int, int, str] | None:
    """(first step, step seen, signal) of the first spike, by the definition, from the whole lists."""

    def high(values: list[float], number: int, show: Any) -> bool:
        before, value = values[number - config.window : number], values[number]
        median = statistics.median(before)
        spread = 1.4826 * statistics.median(abs(one - median) for one in before)
        enough = value - median > 0 if spread == 0 else (value - median) / spread > config.threshold
        return enough and show(value) > show(median) + config.minimum_rise * abs(show(median))

    losses = [loss for loss, _ in steps]
    norms = [math.log(norm) if 0 < norm < math.inf else math.nan for _, norm in steps]
    row = 0
    for number, (loss, norm) in enumerate(steps):
        for name, value in (("loss", loss), ("grad_norm", norm)):
            if not math.isfinite(value):
                return number + 1 - row, number + 1, name
        full = number >= config.window
        by_loss = full and high(losses, number, lambda value: value)
        by_norm = full and high(norms, number, math.exp)
        row = row + 1 if by_loss or by_norm else 0
        if row == config.patience:
            return number + 2 - row, number + 1, "loss" if by_loss else "grad_norm"
    return None


# Eighths, so that ties occur and sums are exact; now and then far off, or not a number.
VALUES = st.one_of(
    st.integers(8, 40).map(lambda eighths: eighths / 8),
    st.integers(8, 40).map(lambda eighths: eighths / 8),
    st.sampled_from([1e-3, 30.0, 31.0, 500.0]),
)
BROKEN = st.sampled_from([math.nan, math.inf])
STEPS = st.lists(st.tuples(VALUES, VALUES), max_size=40)
CONFIGS = st.builds(
    SpikeConfig,
    threshold=st.sampled_from([0.5, 2.0, 6.0]),
    minimum_rise=st.sampled_from([0.0, 0.02, 0.5]),
    window=st.integers(3, 9),
    patience=st.integers(1, 4),
)


@settings(max_examples=100, deadline=None)
@given(CONFIGS, STEPS, st.none() | st.tuples(BROKEN, VALUES) | st.tuples(VALUES, BROKEN))
def test_it_finds_what_the_definition_says(
    config: SpikeConfig, steps: list[Step], broken: Step | None
) -> None:
    steps = steps if broken is None else [*steps, broken]
    found = watch(config, steps)
    assert (found and (found.first_step, found.seen_step, found.signal)) == oracle(config, steps)


@settings(max_examples=100, deadline=None)
@given(CONFIGS, STEPS, STEPS)
def test_replaying_its_memory_makes_an_equal_detector(
    config: SpikeConfig, before: list[Step], later: list[Step]
) -> None:
    """As a resumed run does: of the steps so far only the last `memory` are shown to the new detector."""
    if found := watch(config, before):
        before = before[: found.seen_step - 1]
    whole, resumed = SpikeDetector(config), SpikeDetector(config)
    for number, step in enumerate(before, start=1):
        whole.observe(number, *step)
        if number > len(before) - resumed.memory:
            resumed.observe(number, *step)
    for number, step in enumerate(later, start=len(before) + 1):
        one, other = whole.observe(number, *step), resumed.observe(number, *step)
        assert repr(one) == repr(other)
        if one is not None:
            break


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"rewind": -1}, "rewind is -1"),
        ({"skip": 0}, "skip is 0"),
        ({"window": 2}, "window is 2"),
        ({"patience": 0}, "patience is 0"),
        ({"max_rewinds": -1}, "max_rewinds is -1"),
        ({"threshold": 0.0}, "threshold must be above 0"),
        ({"minimum_rise": -0.1}, "minimum_rise"),
    ],
)
def test_impossible_constants_are_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(PalmettoError, match=named):
        SpikeConfig(**fields)


def test_the_defaults_are_the_papers() -> None:
    """Section 5.1: a checkpoint roughly 100 steps before the spike, roughly 200 to 500 batches."""
    assert SpikeConfig().rewind == 100
    assert 200 <= SpikeConfig().skip <= 500


def training(every: int, **fields: Any) -> TrainingConfig:
    return TrainingConfig(
        steps=1000, batch_size=BatchSize((1,)), checkpoint_every=every, spikes=SpikeConfig(**fields)
    )


@given(st.integers(1, 60), st.integers(0, 120), st.integers(1, 1000))
def test_a_rewind_goes_to_the_newest_scheduled_checkpoint_that_is_old_enough(
    every: int, rewind: int, first_step: int
) -> None:
    """Oracle: a search through all of them. The spike's first update follows on `first_step` - 1 others."""
    config = training(every, rewind=rewind, skip=rewind + every + 3)
    old_enough = [0, *(step for step in range(0, 1000, every) if step <= first_step - 1 - rewind)]
    assert config.rewind_target(first_step) == max(old_enough)


@given(st.integers(1, 60), st.integers(0, 120), st.integers(1, 9), st.integers(1, 1000))
def test_the_shortest_skip_allowed_reaches_past_the_batches_that_show_the_spike(
    every: int, rewind: int, patience: int, first_step: int
) -> None:
    config = training(every, rewind=rewind, patience=patience, skip=rewind + every + patience)
    last_batch = first_step - 1 + patience - 1
    assert config.rewind_target(first_step) + config.spikes.skip > last_batch
    with pytest.raises(PalmettoError, match=rf"Make it at least {rewind + every + patience}"):
        training(every, rewind=rewind, patience=patience, skip=rewind + every + patience - 1)
