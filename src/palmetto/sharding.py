"""Which device holds which part of what: the mesh, and shardings by the rules of `model/axes.py` (paper, section 4)."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from palmetto.common.errors import PalmettoError
from palmetto.model.axes import MESH_AXES, RULES, partition
from palmetto.model.config import ModelConfig
from palmetto.model.spec import Parameters, map_specs, named_parameters, parameter_specs


@dataclass(frozen=True)
class MeshConfig:
    """Devices along each mesh axis."""

    pod: int = 1
    """Pods, each with a whole copy of the weights."""

    data: int = -1
    """Ways of fully sharded data parallelism; -1 takes all devices the other axes leave."""

    model: int = 1
    """Ways of tensor parallelism."""


def make_mesh(config: MeshConfig, devices: list[Any] | None = None) -> Mesh:
    """Return the mesh over all devices (or those given).

    Raises:
        PalmettoError: an axis is below 1, or the axes do not multiply to the number of devices.
    """
    devices = jax.devices() if devices is None else devices
    for axis, ways in (("pod", config.pod), ("model", config.model), ("data", config.data)):
        if ways < 1 and (axis, ways) != ("data", -1):
            raise PalmettoError(f"MeshConfig.{axis} is {ways}; it must be at least 1.")
    fixed = config.pod * config.model
    data = len(devices) // fixed if config.data == -1 else config.data
    if fixed * data != len(devices):
        raise PalmettoError(
            f"MeshConfig pod={config.pod} x data={config.data} x model={config.model} does not fit "
            f"{len(devices)} devices; choose axes whose product is {len(devices)}."
        )
    return Mesh(_grid(devices, (config.pod, data, config.model)), MESH_AXES, axis_types=(AxisType.Auto,) * 3)


def _grid(devices: list[Any], shape: tuple[int, int, int]) -> np.ndarray:
    """Arrange devices so that neighbours along `model`, then along `data`, are neighbours in the machine.

    Elsewhere than on TPUs the order of the devices is that: first those of one process. A TPU's chips lie on a torus,
    and its pods (slices) are told apart by the chips themselves.
    """
    if devices[0].platform != "tpu" or len(devices) == 1:
        return np.array(devices).reshape(shape)
    pods, data, model = shape
    slices = len({getattr(device, "slice_index", 0) for device in devices})
    try:
        if slices == 1:
            return mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True)
        return mesh_utils.create_hybrid_device_mesh(
            (pods // slices, data, model), (slices, 1, 1), devices, allow_split_physical_axes=True
        )
    except (ValueError, NotImplementedError, AssertionError) as error:
        raise PalmettoError(
            f"MeshConfig pod={pods} x data={data} x model={model} cannot be laid out on {len(devices)} TPU chips in "
            f"{slices} pod(s) ({error}); pod must be a multiple of {slices}, and the others made of the torus's sides."
        ) from error


def check_divides(config: ModelConfig, mesh: Mesh) -> None:
    """Refuse a mesh that does not divide the model's axes.

    Raises:
        PalmettoError: names the weight, the axis, its length, the mesh axes, and what would divide it.
    """
    for name, spec in named_parameters(parameter_specs(config)).items():
        for length, axis in zip(spec.shape, spec.axes, strict=True):
            ways = math.prod(mesh.shape[mesh_axis] for mesh_axis in RULES[axis])
            if length % ways:
                over = " x ".join(RULES[axis])
                raise PalmettoError(
                    f"{config.name}: axis {axis!r} of {name} has length {length}, which {ways} devices along mesh "
                    f"axis {over!r} do not divide; {_divisors(length, mesh.size)} would."
                )


def _divisors(length: int, most: int) -> str:
    """Return the divisors of `length` up to `most` in words."""
    found = [str(ways) for ways in range(1, min(length, most) + 1) if length % ways == 0]
    return " or ".join(filter(None, (", ".join(found[:-1]), found[-1])))


def parameter_shardings(config: ModelConfig, mesh: Mesh) -> Parameters:
    """Return the tree of shardings of the weights; the optimizer's moments use it too."""
    return map_specs(lambda spec: NamedSharding(mesh, partition(*spec.axes)), parameter_specs(config))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Return the sharding of records [B, T]: sequences over pods and data, positions whole."""
    return NamedSharding(mesh, partition("batch", "position"))


def replicated(mesh: Mesh) -> NamedSharding:
    """Return the sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())
