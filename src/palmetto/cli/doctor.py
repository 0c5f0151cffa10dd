"""`palmetto doctor`: what this machine has."""

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from palmetto.common.progress import Terminal


@dataclass(frozen=True)
class Doctor:
    """Say what devices, extras, threads and disk there are, and what would be slow."""

    folder: tyro.conf.Positional[Path] = field(default_factory=Path.cwd)
    """Where studies would be written."""

    def run(self, terminal: Terminal) -> None:
        """Print the findings."""
        from palmetto.study.doctor import print_doctor

        print_doctor(self.folder)
