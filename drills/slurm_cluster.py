"""A Slurm cluster of this one machine: its own key, ports and folders, gone with the drill."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel")

_CONFIGURATION = """
ClusterName=drill
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2
ReturnToService=2
MpiDefault=none
NodeName=localhost NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=localhost Default=YES MaxTime=60 State=UP
"""


def missing() -> list[str]:
    """Return the programs of Slurm that this machine lacks; its daemons lie where only root's PATH looks."""
    return [name for name in PROGRAMS if _program(name) is None]


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def _free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]


class Slurm:
    """The cluster's commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def run(self, *command: str | Path) -> str:
        done = subprocess.run(
            [*map(str, command)], env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr, self.logs())
        return done.stdout

    def job(self, number: str) -> dict[str, str]:
        """Return what the controller knows of a job."""
        return dict(
            word.split("=", 1)
            for word in self.run("scontrol", "--oneliner", "show", "job", number).split()
            if "=" in word
        )

    def wait(self, number: str, states: tuple[str, ...], seconds: float) -> dict[str, str]:
        """Wait until a job is in one of the states."""
        deadline = time.monotonic() + seconds
        while (job := self.job(number))["JobState"] not in states:
            assert time.monotonic() < deadline, (job, self.logs())
            time.sleep(0.2)
        return job

    def logs(self) -> str:
        return "\n".join(f"{path}: {path.read_text()[-2000:]}" for path in sorted(self.folder.glob("*.log")))


@contextmanager
def cluster(folder: Path) -> Iterator[Slurm]:
    """Start munged, slurmctld and slurmd as this user; end them afterwards."""
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    values = {"host": socket.gethostname(), "user": pwd.getpwuid(os.getuid()).pw_name, "folder": folder}
    ports = {"controller": _free_port(), "daemon": _free_port()}
    (folder / "slurm.conf").write_text(_CONFIGURATION.format(**values, **ports))
    slurm = Slurm(folder)
    munge = [
        f"--{name}={folder / f'munge.{name}'}" for name in ("socket", "pid-file", "log-file", "seed-file")
    ]
    commands = [
        ["munged", "--foreground", "--force", f"--key-file={key}", *munge],
        ["slurmctld", "-D", "-c", "-f", folder / "slurm.conf"],
        ["slurmd", "-D", "-c", "-f", folder / "slurm.conf"],
    ]
    with ExitStack() as stack:
        for name, *arguments in commands:
            log = stack.enter_context((folder / f"{name}.log").open("w"))
            command = [str(_program(str(name))), *map(str, arguments)]
            process = subprocess.Popen(command, env=slurm.environment, stdout=log, stderr=log)
            stack.callback(_end, process)
        deadline = time.monotonic() + 60
        while True:
            asked = subprocess.run(
                ["scontrol", "show", "node", "localhost"],
                env=slurm.environment,
                capture_output=True,
                text=True,
            )
            if "State=IDLE" in asked.stdout:
                break
            assert time.monotonic() < deadline, (asked, slurm.logs())
            time.sleep(0.2)
        yield slurm


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
