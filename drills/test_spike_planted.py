"""Harmful batches are planted into real runs: with the remedy, without it, and clean, over three seeds (section 5.1).

Held-out loss is compared, because the runs read different batches; in nats a token, step by step against the clean
run of the same seed.
"""

import numpy as np
import pytest

from spike_runs import (
    PLANT_KINDS,
    PLANTED,
    PLANTED_STEPS,
    SEEDS,
    Run,
    Text,
    excess,
    planted_config,
    planted_runs,
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, int], Run]:
    return planted_runs(Text(tmp_path_factory.mktemp("planted")))


def test_clean_runs_raise_no_alarm(runs: dict[tuple[str, str, int], Run]) -> None:
    for seed in SEEDS:
        assert runs["clean", "with", seed].rewinds == []


@pytest.mark.parametrize("kind", PLANT_KINDS)
def test_the_plant_is_seen_at_once_and_all_of_it_left_out(
    runs: dict[tuple[str, str, int], Run], kind: str
) -> None:
    """The first rewind begins at the plant's first batch but for one, goes back 20 updates or up to 29, and its range
    holds the plant."""
    config = planted_config(0)
    for seed in SEEDS:
        first = runs[kind, "with", seed].rewinds[0]
        assert abs(first["spike"]["first_batch"] - PLANTED.start) <= 1
        assert first["spike"]["seen_batch"] < PLANTED.start + 2 * config.spikes.patience
        distance = first["spike"]["first_step"] - 1 - first["to_step"]
        assert config.spikes.rewind <= distance < config.spikes.rewind + config.checkpoint_every
        assert set(PLANTED) <= set(range(first["first_batch"], first["end_batch"]))


@pytest.mark.parametrize("kind", PLANT_KINDS)
def test_the_steps_that_stayed_never_read_the_plant(runs: dict[tuple[str, str, int], Run], kind: str) -> None:
    for seed in SEEDS:
        read = [row["batch"] for row in runs[kind, "with", seed].rows]
        assert len(read) == PLANTED_STEPS
        assert not set(read) & set(PLANTED)
        assert set(PLANTED) <= {row["batch"] for row in runs[kind, "without", seed].rows}


@pytest.mark.parametrize("kind", PLANT_KINDS)
def test_the_remedy_takes_the_harm_away(runs: dict[tuple[str, str, int], Run], kind: str) -> None:
    """The bounds: less than half of the control's excess in the window after the plant, for every seed; and at the end,
    in the mean over the seeds, below the control's excess, which may have healed in part, or within the clean
    runs' own spread."""
    with_, without = excess(runs, kind, "with"), excess(runs, kind, "without")
    for seed in SEEDS:
        assert without.window[seed] > 0
        assert with_.window[seed] < without.window[seed] / 2
    ends = [runs["clean", "with", seed].heldout[PLANTED_STEPS] for seed in SEEDS]
    end_with = float(np.mean([with_.end[seed] for seed in SEEDS]))
    end_without = float(np.mean([without.end[seed] for seed in SEEDS]))
    print(f"\n{kind}: window {with_.window} with, {without.window} without; end {with_.end}, {without.end}")
    assert end_with < max(end_without, max(ends) - min(ends))
