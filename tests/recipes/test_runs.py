"""The recipes of single runs: the paper's figures (sections 4 and 5, tables 1 and 2), and what the ladder promises."""

from pathlib import Path

import pytest

from palmetto.common.errors import PalmettoError
from palmetto.model.counts import count_parameters
from palmetto.recipes.training import RUNS, TOKENS_PER_PARAMETER, run_recipe

SMALL = ["palm_160k", "palm_800k", "palm_5m", "palm_34m", "palm_270m", "palm_1b5"]
PAPER = {"palm_8b": 780e9, "palm_62b": 795e9, "palm_540b": 775.9e9}


def tokens(name: str) -> int:
    run = run_recipe(name)
    return run.training.sequences() * run.model.sequence_length


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_runs_read_the_papers_tokens(name: str) -> None:
    assert tokens(name) == pytest.approx(PAPER[name], rel=2e-3)


def test_the_largest_run_is_section_5s() -> None:
    training = run_recipe("palm_540b").training
    assert training.steps == 255_000
    assert training.batch_size.sizes == (512, 1024, 2048)
    assert training.batch_size.starts == (0, 50_000, 115_000)
    assert (training.optimizer.learning_rate.peak, training.optimizer.learning_rate.plateau_steps) == (
        1e-2,
        10_000,
    )
    assert training.epochs == 1


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_runs_rewind_100_steps_and_skip_200_to_500_batches(name: str) -> None:
    training = run_recipe(name).training
    assert 200 <= training.spikes.skip <= 500
    # "Roughly 100 steps before the spike": up to one interval of checkpoints more.
    for first_step in (1_001, 54_321):
        back = first_step - 1 - training.rewind_target(first_step)
        assert 100 <= back < 100 + training.checkpoint_every


@pytest.mark.parametrize(
    ("name", "policy"), [("palm_8b", "attention"), ("palm_62b", "attention"), ("palm_540b", "full")]
)
def test_the_papers_runs_recompute_what_the_paper_did(name: str, policy: str) -> None:
    assert run_recipe(name).training.execution.rematerialisation == policy


@pytest.mark.parametrize("name", SMALL)
def test_the_small_ladders_runs_read_twenty_tokens_a_parameter(name: str) -> None:
    run = run_recipe(name)
    assert tokens(name) == pytest.approx(TOKENS_PER_PARAMETER * count_parameters(run.model), rel=0.05)
    assert run.training.steps > 1000


def test_every_model_of_the_ladder_has_a_run() -> None:
    assert list(RUNS) == [*SMALL, *PAPER]


def test_an_unknown_run_is_an_error_with_the_names(tmp_path: Path) -> None:
    with pytest.raises(PalmettoError, match="no model recipe 'palm_9b'; there is palm_160k"):
        run_recipe("palm_9b")
    file = tmp_path / "mine.py"
    file.write_text("def run():\n    return 3\n")
    with pytest.raises(PalmettoError, match="returns int; it must return a RunConfig"):
        run_recipe(str(file))


def test_a_run_of_ones_own_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from palmetto.recipes.training import palm_8b_run\n\n\ndef mine():\n    return palm_8b_run()\n"
    )
    assert run_recipe(f"{file}:mine").model.name == "palm_8b"
