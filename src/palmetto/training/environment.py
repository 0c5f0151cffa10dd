"""What decides bits besides recipe and data: processor, threads, mesh, versions. Recorded, and compared on resume."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

LARGE_PAGES = "glibc.malloc.hugetlb=1"
"""What the environment's GLIBC_TUNABLES must say for memory in large pages."""


def usable_cores() -> int:
    """Return the cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads() -> int:
    """Return the threads XLA's CPU programs use: `NPROC` if set, else the cores this process may use."""
    return int(os.environ.get("NPROC") or usable_cores())


def processor() -> tuple[str, str]:
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


def environment() -> dict[str, Any]:
    """Return what decides bits: platform, device kind and count, threads, instruction set, JAX and Python."""
    import jax

    devices = jax.devices()
    return {
        "platform": devices[0].platform,
        "device_kind": devices[0].device_kind,
        "devices": len(devices),
        "threads": threads(),
        "isa": processor()[1],
        "jax": importlib.metadata.version("jax"),
        "python": platform.python_version(),
    }


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return what changed between two environments, as `threads 2 -> 1`."""
    return [
        f"{name} {before.get(name)} -> {now.get(name)}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
