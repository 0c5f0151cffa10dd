"""Learning rate and batch size against the paper's section 5 and brute force."""

import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmetto.common.errors import PalmettoError
from palmetto.training.config import TrainingConfig
from palmetto.training.schedules import BatchSize, LearningRate

PALM_540B = BatchSize(sizes=(512, 1024, 2048), starts=(0, 50_000, 115_000))


@st.composite
def phases(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sizes and starts of one to five phases."""
    lengths = draw(st.lists(st.integers(1, 9), max_size=4))
    starts = [sum(lengths[:phase]) for phase in range(len(lengths) + 1)]
    sizes = draw(st.lists(st.integers(1, 7), min_size=len(starts), max_size=len(starts)))
    return tuple(sizes), tuple(starts)


@pytest.mark.parametrize(
    ("update", "rate"), [(1, 1e-2), (5_000, 1e-2), (10_000, 1e-2), (40_000, 5e-3), (250_000, 2e-3)]
)
def test_the_learning_rate_is_the_papers(update: int, rate: float) -> None:
    """1e-2 for 10,000 updates, then 1/sqrt(k); `update` counts from 1."""
    assert float(LearningRate()(jnp.int32(update - 1))) == pytest.approx(rate, rel=1e-6)


def test_a_shorter_schedule_decays_from_its_own_plateau() -> None:
    """peak·sqrt(plateau / k): at four times the plateau, half the peak."""
    schedule = LearningRate(peak=3e-2, plateau_steps=50)
    assert float(schedule(jnp.int32(49))) == pytest.approx(3e-2, rel=1e-6)
    assert float(schedule(jnp.int32(199))) == pytest.approx(1.5e-2, rel=1e-6)


@pytest.mark.parametrize("fields", [{"peak": 0.0}, {"peak": -1.0}, {"plateau_steps": 0}])
def test_an_impossible_learning_rate_is_an_error(fields: dict[str, float]) -> None:
    with pytest.raises(PalmettoError, match=r"LearningRate\.peak.*plateau_steps"):
        LearningRate(**fields)  # type: ignore[arg-type]


@given(phases(), st.integers(0, 60))
def test_offset_is_the_sum_of_all_sizes_before(
    phases: tuple[tuple[int, ...], tuple[int, ...]], index: int
) -> None:
    schedule = BatchSize(*phases)
    assert schedule.offset(index) == sum(schedule.size(before) for before in range(index))


@given(phases())
def test_each_phase_has_its_size_from_its_start_on(
    phases: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    schedule = BatchSize(*phases)
    for start, size in zip(schedule.starts, schedule.sizes, strict=True):
        assert schedule.size(start) == size
    assert schedule.largest() == max(schedule.sizes)


def test_the_papers_540b_schedule_trains_on_775_9_billion_tokens() -> None:
    """By hand: (50,000·512 + 65,000·1024 + 140,000·2048)·2048 = 775.9e9, which the paper rounds to 780B."""
    assert PALM_540B.offset(255_000) * 2048 == (50_000 * 512 + 65_000 * 1024 + 140_000 * 2048) * 2048
    assert round(PALM_540B.offset(255_000) * 2048 / 1e9, 1) == 775.9


@pytest.mark.parametrize(
    ("sizes", "starts"),
    [((), ()), ((4, 8), (0,)), ((4, 8), (1, 2)), ((4, 8), (0, 0)), ((4, 8, 2), (0, 5, 3)), ((0,), (0,))],
)
def test_an_impossible_batch_schedule_is_an_error(sizes: tuple[int, ...], starts: tuple[int, ...]) -> None:
    with pytest.raises(PalmettoError, match="starts must rise from 0 and every size must be at least 1"):
        BatchSize(sizes, starts)


def test_a_run_counts_the_sequences_of_all_its_steps() -> None:
    assert TrainingConfig(steps=5, batch_size=BatchSize((2, 6), (0, 3))).sequences() == 3 * 2 + 2 * 6


@pytest.mark.parametrize(
    "field", ["steps", "epochs", "checkpoint_every", "keep_checkpoints", "evaluate_every"]
)
def test_a_run_of_zero_is_an_error_naming_the_field(field: str) -> None:
    with pytest.raises(PalmettoError, match=rf"TrainingConfig\.{field} is 0; it must be at least 1"):
        TrainingConfig(**{"steps": 1, "batch_size": BatchSize((1,)), field: 0})
