"""`palmetto plan`: the train step compiled for hardware that is not there."""

import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Terminal

if TYPE_CHECKING:
    from palmetto.pathways.plan import Setting
    from palmetto.sharding import MeshConfig


@dataclass(frozen=True)
class Plan:
    """Compile the real train step for TPUs, CPUs or GPUs that are not here, and print what it would take.

    Examples:
      palmetto plan palm_540b --topology v4:16x16x12 --pods 2 --mesh data=256,model=12 --batch 2048
      palmetto plan palm_8b --topology v5e:16x16 --mesh data=256 --batch 512 --out plan.json
      palmetto plan palm_1b5 --topology v6e:2x4 --sweep --batch 32 64 --rematerialisation attention full
      palmetto plan palm_540b --topology v4:16x16x12 --pods 2 --mesh data=256,model=12 --batch 2048 --weak-scaling
      palmetto plan my_run.py:run --topology cpu:8 --mesh data=4,model=2

    TPUs need the extra `tpu-plan` (libtpu; no TPU). What each figure means: docs/plan.md.
    """

    recipe: tyro.conf.Positional[str]
    """A model of the ladder, whose run it is, or a file and function of your own that returns a RunConfig."""

    topology: str
    """One pod: v4:AxBxC, v5p:AxBxC, v5e:AxB, v6e:AxB (chips along each side of the torus), cpu:N or gpu:N."""

    pods: int = 1
    """Pods of that shape, joined by the data-centre network."""

    mesh: tuple[str, ...] = ()
    """How a pod is divided, such as data=256,model=12; left out, all of it is `data`. Several with --sweep; there, left
    out, every division of the heads is tried."""

    batch: tuple[int, ...] = ()
    """Sequences a step over all pods; the recipe's largest if left out. Several with --sweep."""

    rematerialisation: tuple[Literal["none", "attention", "full"], ...] = ()
    """What the backward pass computes again; the recipe's if left out. Several with --sweep; there, left out, all."""

    attention: Literal["xla", "tpu"] = "xla"
    """Attention: XLA's plain products, all counted, or the kernel for TPUs, whose inside no count sees."""

    microbatches: int | None = None
    """Parts of a batch computed one after the other; the recipe's if left out."""

    dcn_gbps: float | None = None
    """What a host can send over the data-centre network, in Gbit/s; what is published of the chip's if left out."""

    sweep: bool = False
    """Try all meshes, batches and policies named and rank those that fit."""

    weak_scaling: bool = False
    """Plan the step on 1, 2, 4 and 8 pods, the batch growing with them."""

    out: Path | None = None
    """Write the plan, or the list of them, to this file as JSON."""

    def run(self, terminal: Terminal) -> None:
        """Plan, print and write."""
        import jax

        from palmetto.cli.plan_tables import print_plan, print_ranking, print_scaling
        from palmetto.pathways.plan import make_plan
        from palmetto.pathways.sweep import growing, try_all
        from palmetto.pathways.topology import open_machine

        if not self.topology.startswith("gpu"):
            jax.config.update("jax_platforms", "cpu")  # compiling needs no device, and must not take any

        def make(setting: "Setting") -> dict[str, Any]:
            machine = open_machine(self.topology, setting.mesh.pod)
            # Python hears no signal while the compiler works, and libtpu answers them with a trace of its stack. Either
            # may end this process at once: a plan is written whole or not at all.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            return make_plan(setting, machine, self.dcn_gbps)

        settings = self._settings()
        if self.sweep or self.weak_scaling:
            outcomes = try_all(growing(settings[0]) if self.weak_scaling else settings, make, terminal)
            (print_scaling if self.weak_scaling else print_ranking)(outcomes)
            self._write([{"refusal": one.refusal, **(one.plan or {})} for one in outcomes])
            if not any(one.plan for one in outcomes):
                raise PalmettoError(f"{self.recipe}: no candidate fits {self.pods} x {self.topology}.")
            return
        with terminal.bar(f"compile {settings[0].model.name}", 1, "programs") as bar:
            plan = make(settings[0])
            bar.advance()
        print_plan(plan)
        self._write(plan)

    def _settings(self) -> list["Setting"]:
        """Return what is to be planned: one setting, or those of a sweep.

        Raises:
            PalmettoError: there are several without --sweep, or a value is not understood.
        """
        from palmetto.pathways.plan import Setting
        from palmetto.pathways.sweep import all_meshes
        from palmetto.pathways.topology import open_machine
        from palmetto.recipes.training import run_recipe

        run = run_recipe(self.recipe)
        training = run.training
        batches = self.batch or (training.batch_size.largest(),)
        policies = self.rematerialisation or (training.execution.rematerialisation,)
        meshes = [read_mesh(text, self.pods) for text in self.mesh or ("",)]
        if self.sweep:
            policies = self.rematerialisation or ("none", "attention", "full")
            if not self.mesh:
                meshes = all_meshes(run.model, self.pods, len(open_machine(self.topology).devices))
        elif max(map(len, (batches, policies, meshes))) > 1:
            raise PalmettoError(
                "--mesh, --batch and --rematerialisation take several values only with --sweep."
            )
        if self.sweep and self.weak_scaling:
            raise PalmettoError("--sweep and --weak-scaling are two different questions; ask one.")
        return [
            Setting(
                run.model,
                training.optimizer,
                replace(training.execution, attention=self.attention, rematerialisation=policy),
                mesh,
                batch,
                self.microbatches or training.microbatches,
            )
            for mesh in meshes
            for batch in batches
            for policy in policies
        ]

    def _write(self, value: Any) -> None:
        if self.out is not None:
            from palmetto.common.files import write_json

            write_json(self.out, value)
            print(f"{self.out}: written")


def read_mesh(text: str, pods: int) -> "MeshConfig":
    """Return the mesh of `data=256,model=12`.

    Raises:
        PalmettoError: the text has another form, or a number of pods that differs from `pods`.
    """
    from palmetto.sharding import MeshConfig

    ways = {"pod": pods, "data": -1, "model": 1}
    for part in filter(None, text.split(",")):
        axis, _, number = part.strip().partition("=")
        if axis not in ways or not number.isdecimal() or int(number) < 1:
            raise PalmettoError(
                f"--mesh {text!r}: write it as data=256,model=12 (axes pod, data, model; each at least 1)."
            )
        ways[axis] = int(number)
    if ways["pod"] != pods:
        raise PalmettoError(
            f"--mesh {text!r} has {ways['pod']} pods and --pods is {pods}; they must be the same."
        )
    return MeshConfig(**ways)
