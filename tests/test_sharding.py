"""Meshes and the rules from logical to mesh axes: what cannot be is a sentence naming the axis."""

import jax
import pytest
from jax.sharding import PartitionSpec

from palmetto.common.errors import PalmettoError
from palmetto.model.config import ModelConfig
from palmetto.model.spec import named_parameters
from palmetto.recipes.models import palm_540b
from palmetto.sharding import MeshConfig, batch_sharding, check_divides, make_mesh, parameter_shardings

CONFIG = ModelConfig("tiny", n_layers=3, d_model=6, n_heads=4, head_dim=2, vocab_size=8, sequence_length=4)


def devices(number: int) -> list[jax.Device]:
    """The one device there is, standing in for many: no array is ever placed on them."""
    return jax.devices()[:1] * number


def mesh_of(pod: int, data: int, model: int) -> jax.sharding.Mesh:
    return make_mesh(MeshConfig(pod, data, model), devices(pod * data * model))


def test_data_takes_the_devices_that_the_other_axes_leave() -> None:
    mesh = make_mesh(MeshConfig(pod=2, model=3), devices(24))
    assert dict(mesh.shape) == {"pod": 2, "data": 4, "model": 3}


@pytest.mark.parametrize("config", [MeshConfig(pod=3), MeshConfig(data=3), MeshConfig(2, 2, 3)])
def test_a_mesh_that_does_not_fit_the_devices_is_an_error_with_both_figures(config: MeshConfig) -> None:
    with pytest.raises(
        PalmettoError,
        match=rf"pod={config.pod} x data={config.data} x model={config.model} does not fit 8 devices",
    ):
        make_mesh(config, devices(8))


@pytest.mark.parametrize(("axis", "ways"), [("pod", 0), ("model", 0), ("data", 0), ("pod", -1), ("data", -2)])
def test_an_axis_below_one_is_an_error_naming_it(axis: str, ways: int) -> None:
    with pytest.raises(PalmettoError, match=rf"MeshConfig\.{axis} is {ways}; it must be at least 1"):
        make_mesh(MeshConfig(**{axis: ways}), devices(8))


@pytest.mark.parametrize(
    ("mesh", "sentence"),
    [
        (
            (1, 4, 1),
            r"axis 'embed_table' of embedding has length 6, which 4 devices along mesh axis 'model x data'",
        ),
        ((1, 1, 3), r"axis 'heads' of blocks\.w_q has length 4, which 3 devices along mesh axis 'model'"),
        (
            (2, 3, 4),
            r"axis 'embed_table' of embedding has length 6, which 12 devices along mesh axis 'model x data'",
        ),
    ],
)
def test_an_axis_the_mesh_does_not_divide_is_an_error_naming_it(
    mesh: tuple[int, int, int], sentence: str
) -> None:
    with pytest.raises(PalmettoError, match=rf"tiny: {sentence} do not divide; 1.* would"):
        check_divides(CONFIG, mesh_of(*mesh))


@pytest.mark.parametrize("mesh", [(1, 1, 1), (2, 3, 2), (5, 3, 1)])
def test_a_mesh_that_divides_is_accepted(mesh: tuple[int, int, int]) -> None:
    check_divides(CONFIG, mesh_of(*mesh))


def test_what_would_divide_is_said() -> None:
    with pytest.raises(PalmettoError, match=r"'heads' .* 3 devices .* do not divide; 1 or 2 would\."):
        check_divides(CONFIG, mesh_of(1, 1, 3))


def test_the_papers_mesh_divides_palm_540b() -> None:
    """Section 4: 12 ways of model and 256 of data parallelism in each of two pods."""
    check_divides(palm_540b(), mesh_of(2, 256, 12))


def test_every_weight_is_divided_as_the_paper_divides_it() -> None:
    """Section 4 and GSPMD's 2-D finalised layout, by hand: keys and values have no head to divide over `model`."""
    shardings = named_parameters(parameter_shardings(CONFIG, mesh_of(1, 1, 1)))
    assert {name: sharding.spec for name, sharding in shardings.items()} == {
        "embedding": PartitionSpec(None, ("model", "data")),
        "blocks.norm_scale": PartitionSpec(None, None),
        "blocks.w_q": PartitionSpec(None, "data", "model", None),
        "blocks.w_k": PartitionSpec(None, "data", None),
        "blocks.w_v": PartitionSpec(None, "data", None),
        "blocks.w_o": PartitionSpec(None, "model", None, "data"),
        "blocks.w_gate": PartitionSpec(None, "data", "model"),
        "blocks.w_up": PartitionSpec(None, "data", "model"),
        "blocks.w_down": PartitionSpec(None, "model", "data"),
    }


def test_no_weight_is_divided_over_pods_and_every_batch_is() -> None:
    shardings = named_parameters(parameter_shardings(CONFIG, mesh_of(1, 1, 1)))
    assert all("pod" not in str(sharding.spec) for sharding in shardings.values())
    assert batch_sharding(mesh_of(1, 1, 1)).spec == PartitionSpec(("pod", "data"), None)
