"""`palmetto doctor`: what this machine has."""

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from palmetto.common.progress import Terminal


@dataclass(frozen=True)
class Doctor:
    """Say what devices, extras, threads and disk there are, which job a run here would join, what would be slow."""

    folder: tyro.conf.Positional[Path] = field(default_factory=Path.cwd)
    """Where studies would be written."""

    def run(self, terminal: Terminal) -> None:
        """Print the findings."""
        from palmetto.pathways.joining import find_cluster, join
        from palmetto.study.doctor import print_doctor

        cluster = find_cluster()
        if cluster is None or cluster.processes == 1:
            by = f" by {cluster.name}" if cluster else ""
            print(f"cluster   none: `palmetto train` here is one process{by} (docs/clusters.md)")
        elif cluster.name == "Pathways on Cloud":
            join(lambda said: print(f"cluster   {said}"))
        else:
            size = f"{cluster.processes} processes" if cluster.processes else "whose size it tells when asked"
            print(f"cluster   {cluster.name}, {size}: `palmetto train` here joins them")
        print_doctor(self.folder)
