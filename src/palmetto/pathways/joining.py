"""Joins a process to the others of its job, before JAX touches a device.

Who started the processes is read from the environment they were given; JAX itself then finds the coordinator, which
process this is and how many there are. PaLM, section 4, has a process on every host, as JAX's multi-controller has;
Pathways (Barham et al., 2022) has one for all of them, which on Google's cloud is reached through a proxy.
"""

import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

import jax

from palmetto.common.errors import PalmettoError

_GANG = ("JAX_COORDINATOR_ADDRESS", "PALMETTO_PROCESSES", "PALMETTO_PROCESS")
_SLURM = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")
_REMEDIES = {
    "Pathways on Cloud": "JAX_BACKEND_TARGET must name its proxy: grpc://HOST:29000.",
    "palmetto launch": "All its processes must run, with the first one's address, a free port of a host they reach.",
    "Open MPI": f"Version 5 needs mpi4py and JAX 0.12; or give each process {', '.join(_GANG)}.",
    "Slurm": "Start every task with srun; of two steps of one job, each needs a JAX_COORDINATOR_PORT of its own.",
    "TPU": "Start the command on every host of every slice; with TPU_SKIP_MDS_QUERY=1 a host works alone.",
    "Kubernetes": "It takes pip install 'palmetto[k8s]' and the right to read pods, jobs and services (deploy/).",
}


@dataclass(frozen=True)
class Cluster:
    """The job that this process is part of."""

    name: str
    """Who started its processes."""

    processes: int | None
    """How many there are; None where only the cluster itself can tell, once it is asked."""


def find_cluster() -> Cluster | None:
    """Return the job that the environment speaks of, or None; asks nobody and touches no device.

    Raises:
        PalmettoError: of the variables that `palmetto launch` sets, one is missing or no number.
    """
    around, platforms = os.environ, jax.config.jax_platforms or ""  # type: ignore[attr-defined]
    if "proxy" in platforms:
        return Cluster("Pathways on Cloud", None)
    if "PALMETTO_PROCESSES" in around:
        return Cluster("palmetto launch", _gang()[1])
    if "OMPI_COMM_WORLD_SIZE" in around:
        return Cluster("Open MPI", int(around["OMPI_COMM_WORLD_SIZE"]))
    if all(name in around for name in _SLURM):
        return Cluster("Slurm", int(around["SLURM_NTASKS"]))
    if "tpu" in platforms and "TPU_SKIP_MDS_QUERY" not in around:
        hosts = around.get("TPU_PROCESS_ADDRESSES") or around.get("TPU_WORKER_HOSTNAMES")
        slices = int(around.get("MEGASCALE_NUM_SLICES") or 1)
        return Cluster("TPU", len(hosts.split(",")) * slices if hosts else None)
    if "KUBERNETES_SERVICE_HOST" in around and "JOB_COMPLETION_INDEX" in around:
        return Cluster("Kubernetes", None)
    return None


def join(say: Callable[[str], None], *, timeout: float = 300.0) -> None:
    """Join the job that this process is part of, if any; one process by itself has nothing to join.

    The number it gets must place no data: under Pathways on Cloud every process has number 0.

    Args:
        say: takes the sentence that tells what was joined.
        timeout: seconds to wait for the others.

    Raises:
        PalmettoError: they were not reached in time; a variable of theirs is missing, or `pathwaysutils` is.
    """
    cluster = find_cluster()
    if cluster is None or cluster.processes == 1:
        return
    failures: list[Exception] = []

    def work() -> None:
        try:
            _connect(cluster.name, int(timeout) + 60)
        except Exception as error:
            failures.append(error)

    # In a thread: while JAX waits it does not hear Ctrl-C, and when it has waited long enough it aborts the process.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        failures.append(TimeoutError(f"some did not come within {timeout:.0f} s"))
    for failure in failures:
        if isinstance(failure, PalmettoError):
            raise failure
        why = str(failure).partition("\n")[0].rstrip(".")
        remedy = _REMEDIES[cluster.name]
        raise PalmettoError(f"{cluster.name}: not joined{_address()}: {why}. {remedy}") from failure
    mine = f"{jax.local_device_count()} of {jax.device_count()} devices"
    say(f"{cluster.name}: process {jax.process_index()} of {jax.process_count()}, with {mine}")


def _connect(name: str, timeout: int) -> None:
    """Make JAX see the devices of all processes; past `timeout` seconds it aborts this one."""
    if name == "Pathways on Cloud":
        try:
            import pathwaysutils
        except ImportError as error:
            raise PalmettoError(f"JAX_PLATFORMS=proxy: {error}; pip install 'palmetto[pathways]'.") from error
        pathwaysutils.initialize()
    elif name == "palmetto launch":
        address, processes, process = _gang()
        if process == 0:
            # On a port that is taken JAX would crash, or share it with another gang's coordinator.
            socket.create_server(("", int(address.rpartition(":")[2]))).close()
        # On a machine with GPUs each process has the one of its number.
        devices = None if "JAX_LOCAL_DEVICE_IDS" in os.environ else [process]
        jax.distributed.initialize(address, processes, process, devices, "deactivate", timeout)
    else:
        jax.distributed.initialize(initialization_timeout=timeout)
    jax.devices()


def _gang() -> tuple[str, int, int]:
    """Return the coordinator's address, the number of processes and this one's."""
    try:
        address, processes, process = (os.environ[name] for name in _GANG)
        return address, int(processes), int(process)
    except (KeyError, ValueError) as error:
        raise PalmettoError(
            f"{', '.join(_GANG)} go together, the last two whole numbers, but: {error}."
        ) from error


def _address() -> str:
    from jax._src.distributed import global_state  # nothing public tells the address that JAX found

    known = (global_state.coordinator_address, os.environ.get(_GANG[0]), os.environ.get("JAX_BACKEND_TARGET"))
    return next((f" at {address}" for address in known if address), "")
