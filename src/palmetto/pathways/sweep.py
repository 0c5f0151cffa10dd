"""Many plans in a row: which mesh, batch and rematerialisation fit and are fastest; how a step scales over pods."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Reporter
from palmetto.model.config import ModelConfig
from palmetto.pathways.plan import Setting
from palmetto.sharding import MeshConfig

WEAK_SCALING_PODS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Outcome:
    """One candidate."""

    setting: Setting
    plan: dict[str, Any] | None
    """None if it cannot run."""

    refusal: str = ""
    """Why not."""

    @property
    def cost(self) -> float:
        """Estimated seconds a sequence; where nothing estimates them, FLOPs. Infinite if it cannot run."""
        if self.plan is None:
            return float("inf")
        times = self.plan["times"]
        return float(times["step"] if times else self.plan["flops"]) / self.setting.batch


def try_all(
    settings: Sequence[Setting], make: Callable[[Setting], dict[str, Any]], reporter: Reporter
) -> list[Outcome]:
    """Plan every candidate in turn; one that cannot run says why and stops nothing."""
    outcomes = []
    with reporter.bar("compile candidates", len(settings), "plans") as bar:
        for setting in settings:
            try:
                outcomes.append(Outcome(setting, make(setting)))
            except PalmettoError as error:
                outcomes.append(Outcome(setting, None, str(error)))
            bar.advance()
    return outcomes


def all_meshes(model: ModelConfig, pods: int, devices: int) -> list[MeshConfig]:
    """Return the ways to divide the model's heads over `model` and the rest of a pod's devices over `data`."""
    return [
        MeshConfig(pods, devices // ways, ways)
        for ways in range(1, min(devices, model.n_heads) + 1)
        if devices % ways == 0 and model.n_heads % ways == 0
    ]


def growing(setting: Setting) -> list[Setting]:
    """Return the same step on 1, 2, 4 and 8 pods, each pod with the share of the batch it has in `setting`."""
    share = setting.batch // setting.mesh.pod
    return [
        replace(setting, mesh=replace(setting.mesh, pod=pods), batch=share * pods)
        for pods in WEAK_SCALING_PODS
    ]
