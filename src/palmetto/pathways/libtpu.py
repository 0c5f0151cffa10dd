"""Keeps libtpu, which holds the TPU compiler (extra `tpu-plan`), from being felt on a machine that has no TPU."""

import importlib.util
import os
from pathlib import Path

_GOOGLE = "0x1ae0"
_DISKS_AND_NETWORKS = ("0x01", "0x02")
_QUIET = {
    "TPU_SKIP_MDS_QUERY": "1",  # ask no cloud's metadata server what this machine is
    "TPU_ACCELERATOR_TYPE": "v4-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_STDERR_LOG_LEVEL": "3",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # several may plan at once
}


def installed() -> bool:
    """Whether there is a libtpu to plan with."""
    return importlib.util.find_spec("libtpu") is not None


def quiet() -> None:
    """Have libtpu look for nothing and say nothing; before it is loaded, and in no process that uses a TPU."""
    for variable, value in _QUIET.items():
        os.environ.setdefault(variable, value)


def spare_jax() -> None:
    """Before JAX starts: without a TPU it must not load libtpu to find that out (0.4 s, and lines on stderr).

    Where another kind of device may be found (`jax_plugins`: GPUs), JAX is left to look, and libtpu kept quiet.
    """
    if not installed() or tpu_attached():
        return
    quiet()
    if importlib.util.find_spec("jax_plugins") is None:
        os.environ.setdefault("JAX_PLATFORMS", "cpu")


def tpu_attached(devices: Path = Path("/sys/bus/pci/devices")) -> bool:
    """Whether a device of Google's is on the PCI bus that is neither a disk nor a network card."""
    return any(
        (device / "vendor").read_text().strip() == _GOOGLE
        and not (device / "class").read_text().startswith(_DISKS_AND_NETWORKS)
        for device in devices.glob("*")
    )
