"""How a run is spread over islands: what `palmetto train --controller ray` is asked for."""

from dataclasses import dataclass, field
from typing import Any, Literal

from palmetto.common.errors import PalmettoError
from palmetto.sharding import MeshConfig


@dataclass(frozen=True)
class IslandsConfig:
    """Pods as islands under one controller (PaLM, figure 2).

    `virtual_pods` and `transfer` decide bits, and what one island is made of (`hosts`, `cpus_per_host`, `mesh`, its
    machines); how many islands there are does not.
    """

    number: int = 2
    """Islands. Any number gives the same bits."""

    virtual_pods: int = 4
    """Equal parts of every batch whose gradients are computed apart and summed in a fixed tree: a power of two, the
    most islands there can be. A constant of the run."""

    hosts: int = 1
    """Processes of an island, one a machine on a cluster, that share its mesh by `jax.distributed`."""

    cpus_per_host: int = 1
    """Cores reserved for each host; XLA's threads there, which decide bits on CPUs."""

    resources: dict[str, float] = field(default_factory=dict)
    """What else each host needs, in Ray's words: `GPU 1`, or `TPU 4`."""

    mesh: MeshConfig = MeshConfig()
    """An island's devices along each mesh axis; `pod` stays 1."""

    transfer: Literal["float32", "bfloat16"] = "float32"
    """Type in which gradients leave an island. With bfloat16 every sum that could cross is rounded, also when it does
    not, so that bits depend on no island. A constant of the run."""

    piece_mb: int = 64
    """Gradients and states travel in pieces of at most so many MB."""

    address: str = "local"
    """`local` starts Ray here and ends it with the run; `auto` or HOST:PORT joins a cluster that is up."""

    placement: Literal["PACK", "STRICT_PACK", "SPREAD", "STRICT_SPREAD"] = "PACK"
    """How Ray places an island's hosts on machines, all or none; STRICT_SPREAD puts one on each."""

    replace_lost: bool = True
    """Start a new island in place of a lost one; it joins between two steps."""

    timeout_seconds: float = 300.0
    """An island that lets the others wait so long in a step is taken for lost."""

    start_seconds: float = 900.0
    """How long an island may take to start, and to compile a step for a new batch size."""

    checksum_every: int = 100
    """Updates after which all islands' weights and optimizer are compared by SHA-256."""

    def __post_init__(self) -> None:
        for name in ("number", "hosts", "cpus_per_host", "piece_mb", "checksum_every", "virtual_pods"):
            if vars(self)[name] < 1:
                raise PalmettoError(f"islands.{name} is {vars(self)[name]}; it must be at least 1.")
        if self.virtual_pods & (self.virtual_pods - 1) or self.number > self.virtual_pods:
            raise PalmettoError(
                f"islands.virtual_pods is {self.virtual_pods}; it must be a power of two, at least islands.number "
                f"({self.number})."
            )
        if self.mesh.pod != 1:
            raise PalmettoError(f"islands.mesh.pod is {self.mesh.pod}; an island is one pod: set it to 1.")
        if min(self.timeout_seconds, self.start_seconds) <= 0:
            raise PalmettoError("islands.timeout_seconds and islands.start_seconds must be above 0.")

    def facts(self) -> dict[str, Any]:
        """Return what `config.json` records: with other values the run could not go on with the same bits."""
        return {"islands": {"virtual_pods": self.virtual_pods, "transfer": self.transfer}}
