"""Where a run begins: damaged checkpoints, another environment, another model's weights, folders of other runs."""

from pathlib import Path

import jax
import numpy as np
import pytest

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, write_json
from palmetto.model.config import ModelConfig
from palmetto.sharding import MeshConfig, make_mesh
from palmetto.training.checkpoints import Checkpoints, committed_steps
from palmetto.training.config import TrainingConfig
from palmetto.training.environment import differences
from palmetto.training.opening import (
    Start,
    check_mesh,
    claim,
    record_environment,
    restore_or_start,
    state_at_start,
)
from palmetto.training.schedules import BatchSize
from palmetto.training.state import TrainState, abstract_state
from palmetto.training.summary import describe

CONFIG = ModelConfig("tiny", n_layers=1, d_model=4, n_heads=1, head_dim=4, vocab_size=8, sequence_length=4)
TRAINING = TrainingConfig(steps=4, batch_size=BatchSize((2,)))
FACTS = {"tokenizer_sha256": "t", "corpus_hash": "c"}


@pytest.fixture(scope="module")
def mesh() -> jax.sharding.Mesh:
    return make_mesh(MeshConfig(data=1), jax.devices()[:1])


def state_of(value: int, mesh: jax.sharding.Mesh) -> TrainState:
    """A state that is `value` everywhere, so that one can tell which was restored."""
    return jax.tree.map(
        lambda leaf: jax.device_put(np.full(leaf.shape, value, leaf.dtype), leaf.sharding),
        abstract_state(CONFIG, mesh),
    )


@pytest.fixture
def run(tmp_path: Path, mesh: jax.sharding.Mesh) -> Path:
    """A model folder with checkpoints of steps 2 and 3."""
    claim(tmp_path, describe(CONFIG, TRAINING, FACTS))
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        for step in (2, 3):
            checkpoints.save(step, state_of(step, mesh), {"rewinds": 0})
    return tmp_path


def damage(run: Path, step: int) -> None:
    files = (run / "checkpoints" / f"{step:08d}" / "state").rglob("*")
    victim = max((path for path in files if path.is_file()), key=lambda path: path.stat().st_size)
    victim.write_bytes(victim.read_bytes()[:-1])


def opened(run: Path, mesh: jax.sharding.Mesh, **options: int) -> tuple[int, TrainState, list[str]]:
    said: list[str] = []
    with Checkpoints(run / "checkpoints") as checkpoints:
        step, state = restore_or_start(CONFIG, TRAINING, mesh, checkpoints, None, said.append, **options)
    return step, state, said


def test_the_newest_checkpoint_is_taken(run: Path, mesh: jax.sharding.Mesh) -> None:
    step, state, said = opened(run, mesh)
    assert (step, said) == (3, [])
    assert int(state.optimizer.count) == 3


def test_a_damaged_newest_one_is_told_and_kept_aside(run: Path, mesh: jax.sharding.Mesh) -> None:
    damage(run, 3)
    step, state, said = opened(run, mesh)
    assert step == int(state.optimizer.count) == 2
    assert len(said) == 1
    assert "00000003 is damaged" in said[0]
    assert (run / "checkpoints" / "00000003.damaged").is_dir()
    assert committed_steps(run / "checkpoints") == [2]


@pytest.mark.parametrize("harm", ["{", "[]", ""])
def test_a_damaged_manifest_is_passed_over_and_nothing_dropped(
    harm: str, run: Path, mesh: jax.sharding.Mesh
) -> None:
    (run / "checkpoints" / "00000003" / "manifest.json").write_text(harm)
    with Checkpoints(run / "checkpoints") as checkpoints:
        checkpoints.drop(lambda step, rewinds: step > 2)
    step, _, said = opened(run, mesh)
    assert step == 2
    assert "00000003" in said[0]
    assert (run / "checkpoints" / "00000003.damaged").is_dir()


def test_when_all_are_damaged_it_is_an_error_not_a_fresh_start(run: Path, mesh: jax.sharding.Mesh) -> None:
    damage(run, 2)
    damage(run, 3)
    with pytest.raises(PalmettoError, match=r"Every checkpoint under .* is damaged"):
        opened(run, mesh)


def test_a_rewind_takes_none_of_a_later_step(run: Path, mesh: jax.sharding.Mesh) -> None:
    assert opened(run, mesh, at_most=2)[0] == 2
    step, state, said = opened(run, mesh, at_most=1)
    assert step == int(state.optimizer.count) == 0
    assert "no checkpoint at or before step 1" in said[0]


def test_abandoned_checkpoints_are_dropped(run: Path) -> None:
    with Checkpoints(run / "checkpoints") as checkpoints:
        checkpoints.drop(lambda step, rewinds: step > 2 and rewinds < 1)
        assert checkpoints.steps() == [2]


def test_another_models_weights_with_and_without_its_optimizer(run: Path, mesh: jax.sharding.Mesh) -> None:
    kept = state_at_start(CONFIG, TRAINING, mesh, Start.newest(run))
    assert int(kept.optimizer.count) == 3
    assert float(kept.optimizer.momentum.embedding.max()) == 3
    reset = state_at_start(CONFIG, TRAINING, mesh, Start.newest(run, reset_optimizer=True))
    assert int(reset.optimizer.count) == 0
    assert float(np.abs(reset.optimizer.second_moment.embedding).max()) == 0
    assert float(reset.parameters.embedding.min()) == 3


def test_a_model_of_another_shape_is_refused(run: Path, mesh: jax.sharding.Mesh) -> None:
    wider = ModelConfig(**{**vars(CONFIG), "d_model": 8})
    with pytest.raises(PalmettoError, match="d_model 4 and the model to train has 8"):
        state_at_start(wider, TRAINING, mesh, Start.newest(run))


def test_a_folder_without_a_model_is_no_start(tmp_path: Path) -> None:
    with pytest.raises(PalmettoError, match="holds no model"):
        Start.newest(tmp_path)
    claim(tmp_path, describe(CONFIG, TRAINING, FACTS))
    with pytest.raises(PalmettoError, match="no finished checkpoint"):
        Start.newest(tmp_path)


def test_another_environment_is_said_and_recorded(tmp_path: Path, mesh: jax.sharding.Mesh) -> None:
    said: list[str] = []
    record_environment(tmp_path, mesh, "xla", 0, said.append, "tiny")
    record_environment(tmp_path, mesh, "xla", 2, said.append, "tiny")
    assert said == ["  tiny: attention xla on 1 x cpu"] * 2
    entries = read_json(tmp_path / "environments.json")
    entries[0]["environment"]["threads"] = 77
    write_json(tmp_path / "environments.json", entries)
    record_environment(tmp_path, mesh, "xla", 3, said.append, "tiny")
    assert "after step 3 under another environment (threads 77 -> " in said[-1]
    assert [entry["after_step"] for entry in read_json(tmp_path / "environments.json")] == [0, 3]
    # Killed before the next checkpoint and begun again from an earlier one, the note is made again, once.
    record_environment(tmp_path, mesh, "xla", 2, said.append, "tiny")
    assert [entry["after_step"] for entry in read_json(tmp_path / "environments.json")] == [0, 2]


def test_differences_name_what_changed_and_what_is_new() -> None:
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == ["b 2 -> 3", "c None -> 4"]


def test_batches_that_do_not_divide_are_refused() -> None:
    devices = np.array([jax.devices()[0]] * 8).reshape(1, 8, 1)
    mesh = jax.sharding.Mesh(devices, ("pod", "data", "model"))
    training = TrainingConfig(steps=1, batch_size=BatchSize((16,)), microbatches=4)
    wide = ModelConfig(**{**vars(CONFIG), "d_model": 8})
    with pytest.raises(PalmettoError, match="make each a multiple of 32"):
        check_mesh(wide, training, mesh)


def test_the_difference_to_another_runs_folder_is_named(run: Path) -> None:
    with pytest.raises(PalmettoError, match=r"different: corpus_hash\)"):
        claim(run, describe(CONFIG, TRAINING, {**FACTS, "corpus_hash": "d"}))
