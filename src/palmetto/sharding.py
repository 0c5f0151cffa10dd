"""Which device holds which part of what: mesh axes and the rules from logical axes to them (paper, section 4).

`pod` crosses the data-centre network and repeats the weights; `data` is fully sharded data parallelism; `model` is
tensor parallelism. PaLM 540B used 2 x 256 x 12.
"""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from palmetto.common.errors import PalmettoError
from palmetto.model.config import ModelConfig
from palmetto.model.spec import Parameters, ParameterSpec, map_specs, named_parameters, parameter_specs

MESH_AXES = ("pod", "data", "model")

RULES: dict[str, str | None] = {
    "layer": None,
    # PaLM's 256,000 rows are no multiple of its 12 ways of tensor parallelism; rows stay whole, columns are cut.
    "vocab": None,
    "embed": "data",
    "embed_norm": None,
    "heads": "model",
    "head_dim": None,
    "ff": "model",
}
"""Mesh axis of each logical axis. Keys and values have no `heads` axis: they are repeated over `model`."""

BATCH_AXES = ("pod", "data")
"""Mesh axes the sequences of a batch are divided over."""


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
    grid = np.array(devices).reshape(config.pod, data, config.model)
    return Mesh(grid, MESH_AXES, axis_types=(AxisType.Auto,) * 3)


def _partition(spec: ParameterSpec) -> PartitionSpec:
    return PartitionSpec(*(RULES[axis] for axis in spec.axes))


def check_divides(config: ModelConfig, mesh: Mesh) -> None:
    """Refuse a mesh that does not divide the model's axes.

    Raises:
        PalmettoError: names the weight, the axis, its length and the mesh axis.
    """
    for name, spec in named_parameters(parameter_specs(config)).items():
        for length, axis in zip(spec.shape, spec.axes, strict=True):
            ways = mesh.shape[RULES[axis]] if RULES[axis] else 1
            if length % ways:
                raise PalmettoError(
                    f"{config.name}: axis {axis!r} of {name} has length {length}, which {ways} devices along mesh "
                    f"axis {RULES[axis]!r} do not divide; use a divisor of {length}."
                )


def parameter_shardings(config: ModelConfig, mesh: Mesh) -> Parameters:
    """Return the tree of shardings of the weights; the optimizer's moments use it too."""
    return map_specs(lambda spec: NamedSharding(mesh, _partition(spec)), parameter_specs(config))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Return the sharding of records [B, T]: sequences over pods and data, positions whole."""
    return NamedSharding(mesh, PartitionSpec(BATCH_AXES, None))


def replicated(mesh: Mesh) -> NamedSharding:
    """Return the sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())
