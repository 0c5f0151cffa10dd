"""`palmetto launch`: one model, trained by several processes on this machine."""

import os
from dataclasses import dataclass
from typing import Annotated

import tyro

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Terminal
from palmetto.model.config import ModelConfig
from palmetto.pathways.launch import LaunchConfig
from palmetto.sharding import make_mesh
from palmetto.training.config import TrainingConfig
from palmetto.training.opening import check_mesh


@dataclass(frozen=True)
class Launch:
    """Train one model with several processes on this machine, and start them again when one is lost.

    The command after the options is `palmetto train`'s, unchanged; each process takes its part of every batch.

    Examples:
      palmetto launch --processes 2 train palm_34m --corpus my_corpus --out runs/palm_34m
      palmetto launch --processes 8 --same-number train palm_1b5 --corpus my_corpus --out runs/palm_1b5
      palmetto launch --processes 4 -- train palm_34m --corpus my_corpus --out runs/m --train.mesh.model 2

    What the first process prints is shown, what the others print is in OUT/processes/; OUT/launches.jsonl keeps every
    start and loss.

    Exit codes: 0 done; 1 lost more often than --restarts allows; 2 something to mend; 75 stopped by SIGTERM after
    saving; 130 stopped by Ctrl-C.
    """

    command: tyro.conf.Positional[tuple[str, ...]]
    """`train` and what follows it."""

    options: Annotated[LaunchConfig, tyro.conf.arg(name="")] = LaunchConfig()
    """The processes."""

    def run(self, terminal: Terminal) -> None:
        """Start the processes and watch over them to the end."""
        from palmetto.cli.main import parse
        from palmetto.cli.train import Train
        from palmetto.pathways.launch import supervise
        from palmetto.recipes.training import run_recipe
        from palmetto.study.stages import locked

        if self.command[:1] != ("train",):
            raise PalmettoError(
                "palmetto launch starts one command in several processes, and that is `train`: palmetto launch "
                "--processes 2 train RECIPE --corpus DIR --out DIR."
            )
        train: Train = parse(list(self.command))
        if train.controller != "none":
            raise PalmettoError(
                "--controller ray starts its islands itself; leave palmetto launch out, or the option."
            )
        model = run_recipe(train.recipe).model
        with locked(train.out / "processes"):
            supervise(
                self.command,
                train.out,
                self.options,
                lambda processes: check_number(model, train.train, processes),
                terminal.say,
            )


@dataclass(frozen=True)
class _FakeDevice:
    """Stands for a device that another process will have."""

    id: int
    platform: str = "cpu"


def check_number(model: ModelConfig, training: TrainingConfig, processes: int) -> None:
    """Refuse a number of processes over which the run cannot be divided.

    Raises:
        PalmettoError: the mesh, the model or a batch size does not divide.
    """
    devices = processes * int(os.environ.get("JAX_NUM_CPU_DEVICES", "1"))
    try:
        check_mesh(model, training, make_mesh(training.mesh, [_FakeDevice(i) for i in range(devices)]))
    except PalmettoError as error:
        raise PalmettoError(f"{processes} process(es): {error}") from None
