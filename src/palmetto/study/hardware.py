"""What the study runs on, and which versions: recorded with every result, shown by `palmetto doctor`."""

import importlib.metadata
import os
import platform
from typing import Any

import palmetto
from palmetto.training.environment import environment, processor

_LIBRARIES = (
    "jax", "jaxlib", "numpy", "optax", "orbax-checkpoint", "grain", "sentencepiece", "lm_eval", "datatrove", "plotly",
)  # fmt: skip


def memory_bytes() -> int:
    """Return the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def describe_hardware() -> dict[str, Any]:
    """Return devices, threads, processor and memory."""
    kept = ("platform", "device_kind", "devices", "threads", "isa")
    around = environment()
    facts = {name: around[name] for name in kept}
    return {**facts, "cpu": processor()[0], "memory_bytes": memory_bytes()}


def describe_versions() -> dict[str, str]:
    """Return the versions of Palmetto, Python and the libraries that decide results."""
    found = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"palmetto": palmetto.__version__, "python": platform.python_version(), **found}


def peak_memory_bytes() -> int:
    """Return the most memory this process has held so far."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if platform.system() == "Darwin" else used * 1024
