"""What the study runs on, and which versions: recorded with every result, shown by `palmetto doctor`."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import palmetto

_LIBRARIES = (
    "jax", "jaxlib", "numpy", "optax", "orbax-checkpoint", "grain", "sentencepiece", "lm_eval", "datatrove", "plotly",
)  # fmt: skip


def threads() -> int:
    """Return the threads XLA's CPU programs use: `NPROC` if set, else the cores this process may use."""
    return int(os.environ.get("NPROC") or usable_cores())


def usable_cores() -> int:
    """Return the cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int:
    """Return the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _processor() -> tuple[str, str]:
    """Return the processor's name and the vector instructions that decide XLA's CPU bits."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine(), platform.machine()
    facts: dict[str, str] = {}
    for line in info.read_text().splitlines():
        name, _, value = line.partition(":")
        facts[name.strip()] = value.strip()
    flags = facts.get("flags", facts.get("Features", "")).split()
    isa = [
        name
        for name in ("avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "asimd", "sve")
        if name in flags
    ]
    return facts.get("model name", platform.machine()), " ".join([platform.machine(), *isa])


def describe_hardware() -> dict[str, Any]:
    """Return devices, threads, processor and memory."""
    import jax

    processor, isa = _processor()
    devices = jax.devices()
    return {
        "platform": devices[0].platform,
        "device_kind": devices[0].device_kind,
        "devices": len(devices),
        "threads": threads(),
        "cpu": processor,
        "isa": isa,
        "memory_bytes": memory_bytes(),
    }


def describe_versions() -> dict[str, str]:
    """Return the versions of Palmetto, Python and the libraries that decide results."""
    found = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"palmetto": palmetto.__version__, "python": platform.python_version(), **found}


def environment() -> dict[str, Any]:
    """Return what decides bits besides recipe and data: a stage resumed under another says so."""
    hardware = describe_hardware()
    kept = {name: hardware[name] for name in ("platform", "device_kind", "devices", "threads", "isa")}
    return {**kept, "jax": importlib.metadata.version("jax"), "python": platform.python_version()}


def peak_memory_bytes() -> int:
    """Return the most memory this process has held so far."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if platform.system() == "Darwin" else used * 1024
