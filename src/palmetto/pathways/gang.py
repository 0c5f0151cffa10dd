"""An island's processes as Ray actors: started and placed all together, called together, killed together.

Ray is the engine underneath: it starts processes, places a gang on machines that have room for all of it, carries
calls in order, and keeps what calls return in its object store, in the name of the caller; so what a host returned
outlives the host. Nothing here knows what the calls mean.
"""

import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from palmetto.common.errors import PalmettoError
from palmetto.model.config import ModelConfig
from palmetto.pathways.host import Host
from palmetto.pathways.islands import IslandsConfig
from palmetto.training.config import TrainingConfig
from palmetto.training.environment import usable_cores

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux


class _Process(Host):
    """A host in a process of its own."""

    def __init__(self, model: ModelConfig, training: TrainingConfig, islands: IslandsConfig) -> None:
        # XLA reads it when it starts: the same threads on every host, whatever the machine has.
        os.environ["NPROC"] = str(islands.cpus_per_host)
        if sys.platform == "linux":
            # A stopped process does not notice that Ray has ended; the kernel does.
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        super().__init__(model, training, islands)

    def address(self) -> str:
        """Return where the island's hosts can meet this one."""
        import ray

        with socket.socket() as probe:
            probe.bind(("", 0))
            return f"{ray.util.get_node_ip_address()}:{probe.getsockname()[1]}"

    def form(self, rank: int = 0, address: str = "") -> dict[str, Any]:
        """Meet the others; return what `Host.form` does and this process's id and machine."""
        return {**super().form(rank, address), "pid": os.getpid(), "machine": socket.gethostname()}


@contextmanager
def connected(islands: IslandsConfig, say: Callable[[str], None]) -> Iterator[None]:
    """Start Ray here, or join a cluster, for the `with` block's length; enter it before JAX starts threads.

    Raises:
        PalmettoError: Ray is not installed, or no cluster is at the address.
    """
    # Nothing is reported to Ray's makers; the controller looks at every error that matters; islands are the work of the
    # machine, not its background.
    for name, value in (
        ("USAGE_STATS_ENABLED", "0"),
        ("IGNORE_UNHANDLED_ERRORS", "1"),
        ("worker_niceness", "0"),
    ):
        os.environ.setdefault(f"RAY_{name}", value)
    try:
        import ray
    except ImportError as error:
        raise PalmettoError(f"--controller ray: {error}; pip install 'palmetto[ray]'.") from error
    # What Ray says of dead workers it prints past its logging; the controller says it.
    ray._private.worker.print_to_stdstream = lambda *_, **__: None
    more: dict[str, Any] = {}
    if islands.address == "local":
        hosts = islands.number * islands.hosts
        more["num_cpus"] = hosts * islands.cpus_per_host
        more["resources"] = {name: hosts * count for name, count in islands.resources.items()}
        more["num_gpus"] = more["resources"].pop("GPU", None)
        more["include_dashboard"] = False
        if more["num_cpus"] > usable_cores():
            say(f"  {hosts} hosts want {more['num_cpus']} cores and share the {usable_cores()} that are here")
    try:
        if islands.address not in ("local", "auto"):
            # Ray itself would try for minutes.
            host, _, port = islands.address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address=islands.address, logging_level="CRITICAL", log_to_driver=False, **more)
    except (OSError, RuntimeError, ValueError) as error:
        raise PalmettoError(
            f"islands.address {islands.address}: no Ray there ({error}); start one by `ray start --head`, or leave "
            "the address `local`."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


class Gang:
    """The hosts of one island, started in the background."""

    def __init__(
        self, number: int, model: ModelConfig, training: TrainingConfig, islands: IslandsConfig
    ) -> None:
        """Ask Ray for the hosts of island `number`: all at once or none."""
        import ray
        from ray.util.placement_group import placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        self.number, self.asked = number, time.monotonic()
        self.facts: list[dict[str, Any]] = []
        """What each host returned from `form`, once that is known."""
        bundle = {"CPU": islands.cpus_per_host, **islands.resources}
        self._group = placement_group([bundle] * islands.hosts, strategy=islands.placement)
        rest = {name: count for name, count in islands.resources.items() if name != "GPU"}
        needs = {"num_cpus": bundle["CPU"], "num_gpus": bundle.get("GPU", 0), "resources": rest}
        places = [PlacementGroupSchedulingStrategy(self._group, rank) for rank in range(islands.hosts)]
        self._hosts = [
            ray.remote(_Process).options(scheduling_strategy=place, **needs).remote(model, training, islands)
            for place in places
        ]
        address = self._hosts[0].address.remote() if islands.hosts > 1 else ""
        self.formed = self.call("form", each=[(rank, address) for rank in range(islands.hosts)])
        self._prepared: dict[tuple[int, int], list[Any]] = {}

    def call(
        self, method: str, *arguments: Any, each: Sequence[Sequence[Any]] | None = None, returns: int = 1
    ) -> list[Any]:
        """Call a method on every host; returns at once what will be there later.

        Args:
            method: of `Host`.
            arguments: the same for all.
            each: by rank, what follows them.
            returns: values that a call returns; if more than one, every host has a list of them.
        """
        own = [()] * len(self._hosts) if each is None else each
        return [
            getattr(host, method).options(num_returns=returns).remote(*arguments, *more)
            for host, more in zip(self._hosts, own, strict=True)
        ]

    def prepare(self, shape: tuple[int, int]) -> list[Any]:
        """Have the hosts compile the step for virtual pods of such records; returns the calls, if they are news."""
        if shape in self._prepared:
            return []
        self._prepared[shape] = self.call("prepare", *shape)
        return self._prepared[shape]

    def started(self) -> list[Any]:
        """Return the calls after which the island can make steps."""
        return [*self.formed, *(ref for refs in self._prepared.values() for ref in refs)]

    def describe(self) -> dict[str, Any]:
        """Return what the log says of an island that has formed."""
        return {
            "island": self.number,
            **{key: [facts[key] for facts in self.facts] for key in ("pid", "machine")},
        }

    def end(self) -> None:
        """Kill every host, also one that does not answer, and give their places back."""
        import ray
        from ray.util.placement_group import remove_placement_group

        for host in self._hosts:
            ray.kill(host)
        remove_placement_group(self._group)
