"""`palmetto info`: sizes, parameters and FLOPs."""

from dataclasses import dataclass

import tyro

from palmetto.common.progress import Terminal


@dataclass(frozen=True)
class Info:
    """Print sizes, parameter counts and FLOPs: of the ladder, of one recipe, or of a trained model's folder."""

    model: tyro.conf.Positional[str] = ""
    """A recipe's name, a model's folder or a study's folder; nothing prints the ladder."""

    def run(self, terminal: Terminal) -> None:
        """Print the table."""
        from palmetto.study.info import print_info

        print_info(self.model)
