"""`palmetto export`: write a trained model for Hugging Face's programs."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Terminal

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


@dataclass(frozen=True)
class Export:
    """Write a trained model as Hugging Face's CohereForCausalLM: config, safetensors and tokenizer."""

    model: tyro.conf.Positional[Path]
    """A model's folder, such as studies/starter/models/palm_5m; its newest checkpoint is exported."""

    out: tyro.conf.Positional[Path]
    """Folder to make; an existing one is never touched."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the exported weights: float32 as trained, or bfloat16, rounded to nearest, in half the space."""

    max_shard_size: str = "5GB"
    """Most bytes of weights in one file, such as 500MB or 2GiB."""

    def run(self, terminal: Terminal) -> None:
        """Export, and say where the files lie."""
        from palmetto.export.export import export_model

        size = parse_size(self.max_shard_size)
        export_model(self.model, self.out, terminal, self.dtype, size)
        print(f"The exported model is {self.out}")


def parse_size(text: str) -> int:
    """Return the bytes that `500MB`, `2GiB` or a plain number says.

    Raises:
        PalmettoError: it says none, or less than one.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text.strip())
    if (
        match is None
        or match[2].upper() not in _UNITS
        or (size := float(match[1]) * _UNITS[match[2].upper()]) < 1
    ):
        raise PalmettoError(
            f"--max-shard-size is {text!r}; give a number of bytes, or one with KB, MB, GB, KiB, MiB or GiB."
        )
    return int(size)
