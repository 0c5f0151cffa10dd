"""Joining the processes of a job: what the environment says, and real processes that find each other or do not."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import jax
import pytest

from palmetto.common.errors import PalmettoError
from palmetto.pathways.joining import Cluster, find_cluster, join

MEMBER = """
import sys
from palmetto.common.errors import PalmettoError
from palmetto.pathways.joining import join
try:
    join(print, timeout=float(sys.argv[1]))
except PalmettoError as error:
    sys.exit(str(error))
import jax
from jax.experimental.multihost_utils import process_allgather
print("sum", process_allgather(jax.numpy.array([jax.process_index() + 1])).sum())
print(jax.config.jax_cpu_collectives_implementation)
"""


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that speaks of no job."""
    prefixes = (
        "SLURM_",
        "OMPI_",
        "TPU_",
        "MEGASCALE_",
        "KUBERNETES_",
        "JOB_",
        "JAX_COORDINATOR",
        "PALMETTO_PROC",
    )
    for name in [name for name in os.environ if name.startswith(prefixes)]:
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def platforms() -> Iterator[SimpleNamespace]:
    """Lets a test say what JAX is to run on; nothing runs on it."""
    before = jax.config.jax_platforms
    yield SimpleNamespace(set=lambda value: jax.config.update("jax_platforms", value))
    jax.config.update("jax_platforms", before)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def start(environment: dict[str, str], timeout: float) -> subprocess.Popen[str]:
    keep = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    command = [sys.executable, "-c", MEMBER, str(timeout)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env={**keep, **environment}, stdout=pipe, stderr=pipe, text=True)


def gang(port: int, process: int) -> dict[str, str]:
    address = f"127.0.0.1:{port}"
    return {"JAX_COORDINATOR_ADDRESS": address, "PALMETTO_PROCESSES": "2", "PALMETTO_PROCESS": str(process)}


def slurm(job: int, process: int) -> dict[str, str]:
    tasks = {"SLURM_NTASKS": "2", "SLURM_PROCID": str(process), "SLURM_LOCALID": str(process)}
    return {"SLURM_JOB_ID": str(job), "SLURM_STEP_NODELIST": "localhost", **tasks}


def ends(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_a_process_by_itself_joins_nothing(variables: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    join(said.append)
    assert find_cluster() is None
    assert said == []


@pytest.mark.parametrize(
    ("found", "around"),
    [
        (Cluster("palmetto launch", 2), gang(1, 0)),
        (Cluster("Slurm", 2), slurm(1, 0)),
        (Cluster("palmetto launch", 2), {**slurm(1, 0), **gang(1, 0)}),
        (Cluster("Open MPI", 3), {"OMPI_COMM_WORLD_SIZE": "3", "OMPI_COMM_WORLD_RANK": "0"}),
        (Cluster("Kubernetes", None), {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "0"}),
        (None, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}),
        # The body of an sbatch script, which is no task of srun's.
        (None, {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}),
    ],
)
def test_the_job_is_read_from_what_its_starter_set(
    found: Cluster | None, around: dict[str, str], variables: pytest.MonkeyPatch
) -> None:
    for name, value in around.items():
        variables.setenv(name, value)
    assert find_cluster() == found


@pytest.mark.parametrize(
    ("processes", "around"),
    [
        (2, {"TPU_WORKER_HOSTNAMES": "a,b"}),
        (8, {"TPU_WORKER_HOSTNAMES": "a,b", "MEGASCALE_NUM_SLICES": "4"}),
        (None, {}),
    ],
)
def test_the_hosts_of_all_tpu_slices_are_one_job(
    processes: int | None,
    around: dict[str, str],
    variables: pytest.MonkeyPatch,
    platforms: SimpleNamespace,
) -> None:
    for name, value in around.items():
        variables.setenv(name, value)
    assert find_cluster() is None
    platforms.set("tpu,cpu")
    assert find_cluster() == Cluster("TPU", processes)


def test_a_job_of_one_process_is_not_joined(variables: pytest.MonkeyPatch) -> None:
    for name, value in {**slurm(1, 0), "SLURM_NTASKS": "1"}.items():
        variables.setenv(name, value)
    join(pytest.fail)
    assert not jax.distributed.is_initialized()


@pytest.mark.parametrize("wrong", ["PALMETTO_PROCESS", "JAX_COORDINATOR_ADDRESS"])
def test_variables_of_a_gang_go_together(wrong: str, variables: pytest.MonkeyPatch) -> None:
    for name, value in gang(1, 0).items():
        variables.setenv(name, value)
    variables.delenv(wrong)
    with pytest.raises(PalmettoError, match=wrong):
        join(print)


def test_without_pathwaysutils_the_extra_is_named(
    variables: pytest.MonkeyPatch, platforms: SimpleNamespace
) -> None:
    variables.setitem(sys.modules, "pathwaysutils", None)
    platforms.set("proxy")
    with pytest.raises(PalmettoError, match=r"palmetto\[pathways\]"):
        join(print)


def test_pathwaysutils_is_initialised_before_a_device_is_asked_for(
    variables: pytest.MonkeyPatch, platforms: SimpleNamespace
) -> None:
    """No proxy can be had to test with: the package's one call is faked, and JAX's CPU stands for the pods."""
    calls: list[str] = []

    def initialize() -> None:
        calls.append("initialised")
        platforms.set("cpu")

    fake = SimpleNamespace(initialize=initialize)
    variables.setitem(sys.modules, "pathwaysutils", fake)
    platforms.set("proxy")
    join(calls.append)
    assert calls[0] == "initialised"
    assert calls[1].startswith("Pathways on Cloud: process 0 of 1, with ")


@pytest.mark.parametrize("kind", ["palmetto launch", "Slurm"])
def test_two_processes_find_each_other(kind: str) -> None:
    """With Slurm's variables JAX derives the port from the job's number."""
    port = free_port()
    around = [gang(port, i) if kind == "palmetto launch" else slurm(port, i) for i in range(2)]
    members = [start(environment, 60) for environment in around]
    for i, member in enumerate(members):
        code, out, err = ends(member)
        assert code == 0, err
        lines = [line for line in out.splitlines() if not line.startswith("[Gloo]")]
        assert lines == [f"{kind}: process {i} of 2, with 1 of 2 devices", "sum 3", "gloo"]


def test_those_who_do_not_come_are_waited_for_a_bounded_time() -> None:
    """JAX by itself would abort with a stack trace, and crash on a port that is taken."""
    first, second = free_port(), free_port()
    with socket.create_server(("", 0)) as server:
        taken = server.getsockname()[1]
        waiting = {
            f"127.0.0.1:{first}: some did not come within 2 s": start(gang(first, 0), 2),
            f"127.0.0.1:{second}: some did not come within 2 s": start(gang(second, 1), 2),
            f"127.0.0.1:{taken}: [Errno 98]": start(gang(taken, 0), 2),
        }
        for said, member in waiting.items():
            code, _, err = ends(member)
            assert code == 1, err
            assert f"palmetto launch: not joined at {said}" in err
            assert "Traceback" not in err
