"""The plan: the real train step, compiled ahead of time for hardware that is not there, and what can be read off it.

Section 4 of the PaLM paper says what such a step took on 6,144 chips; `docs/plan.md` sets the figures side by side.
"""

import resource
import sys
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from palmetto.common.errors import PalmettoError
from palmetto.model.config import ModelConfig
from palmetto.model.counts import count_parameters, flops_per_token, implemented_flops_per_token
from palmetto.model.execution import ExecutionConfig
from palmetto.pathways.collectives import Collective, collectives
from palmetto.pathways.compiled_flops import compiled_flops, estimated_cycles
from palmetto.pathways.hlo import Program
from palmetto.pathways.topology import Chip, Machine
from palmetto.sharding import MeshConfig, batch_sharding, check_divides, make_mesh
from palmetto.training.optimizer import OptimizerConfig
from palmetto.training.state import abstract_state, make_train_step

_PAPER = {"step": 17.6, "mfu": 0.462, "hfu": 0.578, "bytes_per_host_pair": 1.3e9, "speed_of_two_pods": 1.95}
"""What the paper measured of PaLM 540B on two pods of 3,072 TPU v4 with 2,048 sequences a batch (section 4)."""


@dataclass(frozen=True)
class Setting:
    """What is compiled."""

    model: ModelConfig
    """The model; a `compute_dtype` of `auto` is bfloat16 here, and float32 for CPUs."""

    optimizer: OptimizerConfig
    """Its optimizer."""

    execution: ExecutionConfig
    """How the step is computed; an `attention` of `auto` is XLA's here."""

    mesh: MeshConfig
    """Devices along each axis; as many pods as the machine has."""

    batch: int
    """Sequences a step, over all pods."""

    microbatches: int = 1
    """Parts computed one after the other."""


def make_plan(setting: Setting, machine: Machine, dcn_gbps: float | None = None) -> dict[str, Any]:
    """Compile the train step for a machine and return as JSON values what the program says (docs/plan.md).

    Args:
        setting: what to compile.
        machine: what for.
        dcn_gbps: what a host sends over the data-centre network, Gbit/s; the chip table's figure if left out.

    Raises:
        PalmettoError: the mesh or batch does not fit the machine or model, or the step does not fit the memory.
    """
    setting = _settled(setting, machine)
    model, mesh = setting.model, make_mesh(setting.mesh, machine.devices)
    check_divides(model, mesh)
    ways = mesh.shape["pod"] * mesh.shape["data"] * setting.microbatches
    if setting.batch % ways:
        raise PalmettoError(
            f"--batch {setting.batch} sequences cannot be divided over pod x data x microbatches = {ways}; use a "
            f"multiple of {ways}."
        )
    dcn = dcn_gbps * 1e9 if dcn_gbps else machine.chip and machine.chip.dcn_bits_per_second
    if machine.chip and machine.pods > 1 and dcn is None:
        raise PalmettoError(
            f"Of {machine.name} nobody says what a host sends over the data-centre network; give --dcn-gbps."
        )
    start = time.monotonic()
    step = make_train_step(
        model, setting.optimizer, mesh, setting.execution, microbatches=setting.microbatches
    )
    shape = (setting.batch, model.sequence_length + 1)
    records = jax.ShapeDtypeStruct(shape, jnp.int32, sharding=batch_sharding(mesh))
    try:
        compiled = step.lower(abstract_state(model, mesh), records).compile()
    except jax.errors.JaxRuntimeError as error:
        raise PalmettoError(_refusal(str(error), setting, machine)) from error
    seconds = time.monotonic() - start
    text, sizes = compiled.as_text(), compiled.memory_analysis()
    assert text is not None and sizes is not None
    program = Program(text)
    counted, sent = compiled_flops(program), collectives(program, dict(mesh.shape))
    tokens = setting.batch * model.sequence_length
    expected = (
        implemented_flops_per_token(model, setting.execution.rematerialisation).hardware * tokens / mesh.size
    )
    hosts = machine.hosts_per_pod * machine.pods
    pair = sum(one.crossing_bytes for one in sent) * mesh.size / hosts
    held = sizes.argument_size_in_bytes + sizes.temp_size_in_bytes + sizes.generated_code_size_in_bytes
    own = (model.name, machine.name, machine.pods, setting.batch) == ("palm_540b", "v4:16x16x12", 2, 2048)
    times = None
    if machine.chip:
        times = _times(
            setting, machine.chip, mesh, estimated_cycles(program), sent, 8 * pair / dcn if dcn else 0.0
        )
        times |= {
            "dcn_bits_per_second": dcn,
            "dcn_source": machine.chip.dcn_source if dcn_gbps is None else "as asked",
        }
    return {
        "format": 1,
        "setting": asdict(setting),
        "machine": {"topology": machine.name, "pods": machine.pods, "chips": mesh.size, "hosts": hosts},
        "mesh": dict(mesh.shape),
        "parameters": count_parameters(model),
        "memory": {
            "arguments": sizes.argument_size_in_bytes,
            "temporaries": sizes.temp_size_in_bytes,
            "total": held + sizes.output_size_in_bytes - sizes.alias_size_in_bytes,
            "capacity": machine.chip.memory_bytes if machine.chip else None,
        },
        "flops": counted.flops,
        "expected_flops": expected,
        "uncounted_kernels": list(counted.uncounted_calls),
        "unknown_loops": list(counted.unknown_loops),
        "collectives": [asdict(one) for one in sent],
        "bytes_per_host_pair": pair,
        "times": times,
        "paper": _PAPER if own else None,
        "timing": {"compile": seconds, "peak_memory_bytes": _peak_memory()},
    }


def _settled(setting: Setting, machine: Machine) -> Setting:
    """Put for each `auto`, which means what suits the devices in use, what suits those planned for."""
    if setting.model.compute_dtype == "auto":
        dtype: Any = "float32" if machine.platform == "cpu" else "bfloat16"
        setting = replace(setting, model=replace(setting.model, compute_dtype=dtype))
    if setting.execution.attention == "auto":
        setting = replace(setting, execution=replace(setting.execution, attention="xla"))
    if setting.execution.attention == "tpu" and machine.platform != "tpu":
        raise PalmettoError(
            f'Attention "tpu" is a kernel for TPUs, and the topology is {machine.name}; use "xla".'
        )
    return setting


def _times(
    setting: Setting, chip: Chip, mesh: Mesh, cycles: int, sent: list[Collective], between_pods: float
) -> dict[str, Any]:
    """Return the seconds of a step, and the utilisations (appendix B) that they mean."""
    computing = cycles / chip.clock_hz
    waiting = sum(
        one.sent_bytes / (chip.ici_bytes_per_second * _torus_sides(mesh, one.axes) / chip.torus_sides)
        for one in sent
        if one.blocking and "pod" not in one.axes
    )
    step = computing + waiting + between_pods
    flops = flops_per_token(setting.model, setting.execution.rematerialisation)
    share = setting.batch * setting.model.sequence_length / (step * chip.peak_flops * mesh.size)
    return {
        "cycles": cycles,
        "computing": computing,
        "waiting": waiting,
        "between_pods": between_pods,
        "step": step,
        "mfu": flops.model * share,
        "hfu": flops.hardware * share,
    }


def _torus_sides(mesh: Mesh, axes: tuple[str, ...]) -> int:
    """Return along how many sides of the torus the devices differ in these mesh axes: whose links they have."""
    along = tuple(slice(None) if axis in axes else 0 for axis in mesh.axis_names)
    places = np.array([device.coords for device in np.ravel(mesh.devices[along])])
    return max(1, sum(len(set(side)) > 1 for side in places.T.tolist()))


def _refusal(message: str, setting: Setting, machine: Machine) -> str:
    """Say in a sentence why the compiler refused."""
    what = f"{setting.model.name} with {setting.batch} sequences a step on {machine.pods} x {machine.name}"
    said = message.partition(": ")[2].strip().splitlines()[0].rstrip(".")
    if message.startswith("RESOURCE_EXHAUSTED"):
        return (
            f"{what} does not fit a chip's memory ({said}); use more chips, a smaller --batch, more --microbatches, or "
            "--rematerialisation full."
        )
    return f"{what}: the compiler refuses the step ({said}); try another --mesh or topology."


def _peak_memory() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024
