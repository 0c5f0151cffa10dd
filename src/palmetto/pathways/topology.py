"""Hardware that is not there: its chips, and devices a program can be compiled for.

TPU chips come from `libtpu`, which holds the whole compiler and needs no TPU; a CPU poses as many; GPUs need JAX's CUDA
plugin and a card of the same kind in this machine.
"""

import importlib.util
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import jax
from jax.experimental import topologies

from palmetto.common.errors import PalmettoError
from palmetto.pathways import libtpu


@dataclass(frozen=True)
class Chip:
    """One kind of TPU chip. From Google's pages on the system architecture of each, unless said otherwise."""

    memory_bytes: int
    """High-bandwidth memory (HBM)."""

    peak_flops: float
    """Dense bfloat16 FLOP/s."""

    flops_per_cycle: int
    """Two for each multiplier of its matrix units: 8 units of 128 x 128 (v4, v5p), 4 (v5e), 4 of 256 x 256 (v6e; its
    page says 2, which the compiler's estimates of plain products rule out)."""

    torus_sides: int
    """Dimensions of the network between chips (ICI)."""

    ici_bytes_per_second: float
    """What a chip can send to its neighbours, all links together, one way (v4: Jouppi et al., 2023, table 4)."""

    dcn_bits_per_second: float | None
    """What a host of four chips can send over the data-centre network (DCN); None where nothing is published."""

    dcn_source: str
    """Where that figure is from."""

    @property
    def clock_hz(self) -> float:
        """Cycles a second: the peak over the FLOPs of a cycle (v4: 1.05 GHz, as Jouppi et al. print)."""
        return self.peak_flops / self.flops_per_cycle


CHIPS = {
    "v4": Chip(
        32 * 2**30, 275e12, 2**18, 3, 300e9, 81e12 / 1536, "PaLM, section 4: 81 Tbit/s over 1,536 hosts"
    ),
    "v5e": Chip(16 * 2**30, 197e12, 2**17, 2, 200e9, 6.4e12 / 64, "Google: 6.4 Tbit/s a pod of 64 hosts"),
    "v5p": Chip(95 * 2**30, 459e12, 2**18, 3, 600e9, 4 * 50e9, "Google: 50 Gbit/s a chip"),
    "v6e": Chip(32 * 2**30, 918e12, 2**19, 2, 400e9, None, ""),
}
"""By the name libtpu gives them in a topology."""

_NAME = re.compile(r"(\w+):(\d+(?:x\d+)*)")


@dataclass(frozen=True)
class Machine:
    """Devices to compile for."""

    name: str
    """What was asked for, such as `v4:16x16x12`: one pod."""

    platform: str
    """`tpu`, `cpu` or `gpu`."""

    pods: int
    """Pods of that shape, joined by the data-centre network."""

    chip: Chip | None
    """What is known of a chip; None for CPU and GPU."""

    devices: list[Any]
    """All pods' devices."""

    hosts_per_pod: int
    """Machines a pod's devices belong to."""


def open_machine(name: str, pods: int = 1) -> Machine:
    """Return so many pods of a topology.

    Args:
        name: `v4:16x16x12`, `v5p:8x8x8`, `v5e:16x16`, `v6e:16x16` (chips along each side), `cpu:8` or `gpu:8`.
        pods: how many of them.

    Raises:
        PalmettoError: there is no such topology, an extra is missing, or this machine cannot pose as it.
    """
    kind, sides = _parse(name)
    if pods < 1:
        raise PalmettoError(f"--pods is {pods}; it must be at least 1.")
    if kind == "cpu":
        return Machine(name, "cpu", pods, None, _cpus(pods * sides[0]), 1)
    devices = _gpus(name, pods, sides[0]) if kind == "gpu" else _tpus(name, kind, sides, pods)
    hosts = len({(device.process_index, getattr(device, "slice_index", 0)) for device in devices})
    platform = "gpu" if kind == "gpu" else "tpu"
    return Machine(name, platform, pods, CHIPS.get(kind), devices, max(1, hosts // pods))


def _parse(name: str) -> tuple[str, list[int]]:
    known = f"{', '.join(CHIPS)} (such as v4:16x16x12 or v5e:16x16), cpu:N or gpu:N"
    found = _NAME.fullmatch(name)
    if not found or found[1] not in (*CHIPS, "cpu", "gpu"):
        raise PalmettoError(f"--topology {name!r} is not known; there is {known}.")
    sides = [int(side) for side in found[2].split("x")]
    wanted = CHIPS[found[1]].torus_sides if found[1] in CHIPS else 1
    if len(sides) != wanted or min(sides) < 1:
        shape = "x".join("ABC"[:wanted]) if wanted > 1 else "N"
        raise PalmettoError(f"--topology {name!r}: {found[1]} is named {found[1]}:{shape}, each at least 1.")
    return found[1], sides


def _tpus(name: str, kind: str, sides: list[int], pods: int) -> list[Any]:
    if not libtpu.installed():
        raise PalmettoError(
            f"--topology {name}: the TPU compiler is not installed; pip install 'palmetto[tpu-plan]' (Linux, no TPU "
            "needed)."
        )
    libtpu.quiet()
    options: dict[str, Any] = {"num_slices": pods} if pods > 1 else {}
    # Hosts hold 2 x 2 chips; a side of 1 is one chip wide.
    options["chips_per_host_bounds"] = [*(min(2, side) for side in sides[:2]), 1]
    if kind == "v4":
        options["chip_config_name"] = "megacore"  # a chip's two cores as one device, as PaLM used them
    try:
        return list(topologies.get_topology_desc(name, "tpu", **options).devices)
    except jax.errors.JaxRuntimeError as error:
        raise PalmettoError(f"--topology {name}: libtpu refuses it ({_first_line(error)}).") from error


def _cpus(count: int) -> list[Any]:
    with suppress(RuntimeError):  # JAX has started: what it has must do
        jax.config.update("jax_num_cpu_devices", count)
    devices = jax.devices("cpu")
    if len(devices) < count:
        raise PalmettoError(
            f"This process runs JAX with {len(devices)} CPU devices, not {count}; plan in one of its own."
        )
    return devices[:count]


def _gpus(name: str, pods: int, each: int) -> list[Any]:
    if importlib.util.find_spec("jax_plugins") is None:
        raise PalmettoError(
            f"--topology {name}: JAX's CUDA plugin is not installed; pip install 'palmetto[cuda]' on a machine with "
            "such a GPU, which the plugin asks for its properties."
        )
    try:
        return list(topologies.get_topology_desc("", "cuda", topology=f"{pods}x1x{each}").devices)
    except (jax.errors.JaxRuntimeError, NotImplementedError, RuntimeError) as error:
        raise PalmettoError(
            f"--topology {name}: JAX's GPU plugin cannot describe it here ({_first_line(error)}); it needs a GPU "
            "of the same kind in this machine."
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].removeprefix("INVALID_ARGUMENT: ").rstrip(".")
