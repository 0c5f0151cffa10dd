"""Checkpoints: what was saved comes back to the bit, damage is named, and a failed write loses nothing."""

import errno
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json
from palmetto.model.config import ModelConfig
from palmetto.recipes.models import palm_160k
from palmetto.sharding import MeshConfig, make_mesh
from palmetto.training.checkpoints import (
    Checkpoints,
    committed_steps,
    restore_parameters,
    restore_state,
    verify,
)
from palmetto.training.state import TrainState, abstract_state

CONFIG = ModelConfig("tiny", n_layers=2, d_model=4, n_heads=2, head_dim=2, vocab_size=8, sequence_length=4)


@pytest.fixture(scope="module")
def mesh() -> jax.sharding.Mesh:
    return make_mesh(MeshConfig(data=1), jax.devices()[:1])


def made_state(config: ModelConfig, mesh: jax.sharding.Mesh) -> TrainState:
    """A state whose weights, moments and count are all different from each other and from zero."""
    rng = np.random.default_rng(0)

    def make(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        values = np.asarray(100 + rng.standard_normal(leaf.shape)).astype(leaf.dtype)
        return jax.device_put(values, leaf.sharding)

    return jax.tree.map(make, abstract_state(config, mesh))


@pytest.fixture(scope="module")
def state(mesh: jax.sharding.Mesh) -> TrainState:
    return made_state(CONFIG, mesh)


def assert_same_bits(one: TrainState, other: TrainState) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def folder(tmp_path: Path, state: TrainState) -> Path:
    """A folder with one committed checkpoint, of step 5."""
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        checkpoints.save(5, state)
    return tmp_path / "checkpoints"


def test_a_state_comes_back_to_the_bit(folder: Path, state: TrainState, mesh: jax.sharding.Mesh) -> None:
    assert committed_steps(folder) == [5]
    abstract = abstract_state(CONFIG, mesh)
    assert_same_bits(restore_state(folder, 5, abstract), state)
    weights = restore_parameters(folder, 5, abstract.parameters)
    assert_same_bits(weights, state.parameters)  # type: ignore[arg-type]


def test_training_on_while_the_save_runs_does_not_change_what_is_saved(
    tmp_path: Path, mesh: jax.sharding.Mesh
) -> None:
    """The step reuses the old state's memory, so `save` must have copied it before it returns."""
    config = palm_160k()
    state = made_state(config, mesh)
    expected = jax.tree.map(lambda leaf: np.array(leaf, copy=True), state)
    overwrite = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf * 0 - 7, tree), donate_argnums=0)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state)
        for _ in range(20):
            state = overwrite(state)
        jax.block_until_ready(state)
    assert_same_bits(restore_state(tmp_path, 1, abstract_state(config, mesh)), expected)


def test_extra_facts_go_into_the_manifest(tmp_path: Path, state: TrainState) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(5, state, {"devices": 1, "mesh": (1, 1)})
    manifest = verify(tmp_path, 5)
    assert (manifest["step"], manifest["devices"], manifest["mesh"]) == (5, 1, [1, 1])


def test_a_flipped_byte_in_any_file_is_found_and_named(folder: Path) -> None:
    files = [path for path in (folder / "00000005").rglob("*") if path.is_file()]
    assert len(files) > 4
    for path in files:
        whole = path.read_bytes()
        for place in {0, len(whole) // 2, len(whole) - 1} if whole else ():
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(PalmettoError, match=path.name):
                verify(folder, 5)
        path.write_bytes(whole)
    verify(folder, 5)


def test_a_changed_step_in_the_manifest_is_found(folder: Path) -> None:
    path = folder / "00000005" / "manifest.json"
    path.write_text(path.read_text().replace('"step": 5', '"step": 6'))
    with pytest.raises(PalmettoError, match=r"manifest\.json is not what was written"):
        verify(folder, 5)


def test_a_truncated_and_a_missing_file_are_named(folder: Path) -> None:
    name = max(
        read_json(folder / "00000005" / "manifest.json")["files"].items(), key=lambda item: item[1]["bytes"]
    )[0]
    path = folder / "00000005" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PalmettoError, match=f"{name} is not what was written"):
        verify(folder, 5)
    path.unlink()
    with pytest.raises(PalmettoError, match=f"{name} is missing"):
        verify(folder, 5)


def test_a_damaged_checkpoint_is_not_restored(folder: Path, mesh: jax.sharding.Mesh) -> None:
    path = next(path for path in (folder / "00000005" / "state" / "parameters").rglob("*") if path.is_file())
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(PalmettoError, match="is damaged"):
        restore_state(folder, 5, abstract_state(CONFIG, mesh))
    with pytest.raises(PalmettoError, match="is damaged"):
        restore_parameters(folder, 5, abstract_state(CONFIG, mesh).parameters)


def test_an_interrupted_save_does_not_count_and_is_cleared(folder: Path, state: TrainState) -> None:
    """What SIGKILL leaves: some of Orbax's files and no manifest."""
    torn = folder / "00000009" / "state.orbax-checkpoint-tmp"
    torn.mkdir(parents=True)
    (torn / "half").write_bytes(b"x")
    (folder / "notes").mkdir()
    with Checkpoints(folder) as checkpoints:
        assert checkpoints.steps() == [5]
        checkpoints.clear_interrupted()
        assert sorted(path.name for path in folder.iterdir()) == ["00000005", "notes"]
        checkpoints.save(9, state)
    assert committed_steps(folder) == [5, 9]
    verify(folder, 9)


def test_an_absent_folder_has_no_checkpoints(tmp_path: Path) -> None:
    with Checkpoints(tmp_path / "absent") as checkpoints:
        checkpoints.clear_interrupted()
        assert checkpoints.steps() == []
    assert not (tmp_path / "absent").exists()


def test_only_the_newest_are_kept(tmp_path: Path, state: TrainState) -> None:
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step in (1, 2, 10, 3):
            checkpoints.save(step, state)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000003", "00000010"]
    assert committed_steps(tmp_path) == [3, 10]


def test_a_step_saved_again_is_whole(folder: Path, state: TrainState, mesh: jax.sharding.Mesh) -> None:
    """As after a rewind, which reaches the same step with other weights."""
    other = jax.tree.map(lambda leaf: leaf + 1, state)
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(5, other)
    assert_same_bits(restore_state(folder, 5, abstract_state(CONFIG, mesh)), other)


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("moment", ["save", "wait_until_finished"])
def test_a_full_disk_is_an_error_and_leaves_earlier_checkpoints(
    moment: str, folder: Path, state: TrainState, mesh: jax.sharding.Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it shows at once or only in the background."""
    checkpoints = Checkpoints(folder)
    with monkeypatch.context() as patch:
        patch.setattr(ocp.AsyncCheckpointer, moment, full_disk)
        with pytest.raises(
            PalmettoError, match=r"00000006 failed.*No space left.*earlier checkpoints are intact"
        ):
            checkpoints.save(6, state)
            checkpoints.wait()
    checkpoints.__exit__(None, None, None)
    assert committed_steps(folder) == [5]
    assert_same_bits(restore_state(folder, 5, abstract_state(CONFIG, mesh)), state)


def test_a_failed_save_is_raised_when_the_run_ends(
    folder: Path, state: TrainState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palmetto.training.checkpoints.sha256_file", full_disk)
    with pytest.raises(PalmettoError, match="No space left"), Checkpoints(folder) as checkpoints:
        checkpoints.save(6, state)
    assert committed_steps(folder) == [5]


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path, state: TrainState) -> None:
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    with (
        pytest.raises(PalmettoError, match=r"checkpoints/00000001 failed.*permissions"),
        Checkpoints(tmp_path / "checkpoints") as checkpoints,
    ):
        checkpoints.save(1, state)
