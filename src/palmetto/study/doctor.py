"""`palmetto doctor`: what this machine has, and what would be slow on it."""

import importlib.util
import os
import shutil
from pathlib import Path

from rich.console import Console

from palmetto.study.hardware import describe_hardware, describe_versions, memory_bytes
from palmetto.training.environment import threads, usable_cores

_EXTRAS = {
    "ray": ("ray",),
    "test": ("pytest", "hypothesis", "selenium"),
    "dev": ("ruff", "mypy"),
}


def print_doctor(folder: Path) -> None:
    """Print devices, threads, memory, disk, versions and extras; then warnings, each with its remedy."""
    from palmetto.training.throughput import peak_flops

    console = Console(soft_wrap=True, highlight=False)
    hardware = describe_hardware()
    peak = peak_flops()
    existing = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    disk = shutil.disk_usage(existing)
    console.print(f"devices   {hardware['devices']} x {hardware['device_kind']} ({hardware['platform']})")
    console.print(f"processor {hardware['cpu']} [{hardware['isa']}]", markup=False)
    console.print(f"threads   {threads()} for XLA, {usable_cores()} cores usable")
    console.print(f"memory    {memory_bytes() / 1e9:.1f} GB")
    console.print(f"disk      {disk.free / 1e9:.1f} GB free of {disk.total / 1e9:.1f} GB at {existing}")
    console.print(f"peak      {peak.flops_per_second / 1e12:.3f} TFLOP/s ({peak.source})")
    console.print(
        "versions  " + ", ".join(f"{name} {version}" for name, version in describe_versions().items())
    )
    for extra, modules in _EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        state = "installed" if not missing else f"not installed (pip install 'palmetto\\[{extra}]')"
        console.print(f"extra     {extra}: {state}")
    browser = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
    console.print(f"browser   {browser or 'none: the drill that opens the report in one will be skipped'}")

    warnings = _warnings(hardware, disk.free)
    for warning in warnings:
        console.print(f"! {warning}", markup=False)
    if not warnings:
        console.print("Nothing here would be slow for the starter study.")


def _warnings(hardware: dict[str, object], free: int) -> list[str]:
    found = []
    if hardware["platform"] == "cpu":
        found.append(
            "No accelerator: sizes above palm_5m are slow. With a GPU: pip install 'palmetto[cuda]'; TPU: [tpu]."
        )
        accelerators = [
            name
            for name in ("nvidia-smi", "/dev/accel0", "/dev/vfio/0")
            if shutil.which(name) or Path(name).exists()
        ]
        if accelerators:
            found.append(
                f"{accelerators[0]} is here but JAX sees only the CPU: install the cuda or tpu extra."
            )
    if threads() < usable_cores():
        found.append(
            f"NPROC is {threads()} and {usable_cores()} cores are usable: unset NPROC to use them all."
        )
    load = os.getloadavg()[0]
    if load > usable_cores() * 0.75:
        found.append(
            f"The machine is busy (load {load:.1f} on {usable_cores()} cores): times will be longer than need be."
        )
    if memory_bytes() < 4e9:
        found.append("Less than 4 GB of memory: the starter study may not fit.")
    if free < 2e9:
        found.append("Less than 2 GB of disk free: a study's checkpoints may fill it; choose another --out.")
    return found
