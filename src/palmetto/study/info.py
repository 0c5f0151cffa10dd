"""`palmetto info`: sizes, parameter counts and FLOPs, from shapes alone."""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json
from palmetto.model.config import ModelConfig
from palmetto.model.counts import count_parameters, flops_per_token
from palmetto.recipes.models import LADDER


def print_info(what: str) -> None:
    """Print a table of the ladder, of one recipe, or of the models in a folder.

    Raises:
        PalmettoError: `what` is neither a recipe nor a folder with models.
    """
    if not what:
        _print_table([recipe() for recipe in LADDER.values()])
    elif what in LADDER:
        _print_table([LADDER[what]()])
    elif (Path(what) / "config.json").exists():
        _print_folder([Path(what)])
    elif (Path(what) / "models").is_dir():
        _print_folder(sorted(path.parent for path in Path(what).glob("models/*/config.json")))
    else:
        raise PalmettoError(
            f"{what!r} is neither a recipe ({', '.join(LADDER)}) nor a folder with a model or a study."
        )


def _print_table(models: list[ModelConfig]) -> None:
    table = Table(title="PaLM models (training FLOPs per token as in the paper's appendix B)")
    for heading in ("recipe", "layers", "d_model", "heads", "head", "d_ff", "vocabulary", "sequence"):
        table.add_column(
            heading, justify="left" if heading == "recipe" else "right", no_wrap=heading == "recipe"
        )
    table.add_column("parameters", justify="right")
    table.add_column("MFLOP a token", justify="right")
    for model in models:
        shape = (model.n_layers, model.d_model, model.n_heads, model.head_dim, model.d_ff)
        table.add_row(
            model.name,
            *(str(value) for value in (*shape, model.vocab_size, model.sequence_length)),
            f"{count_parameters(model):,}",
            f"{flops_per_token(model).model / 1e6:,.1f}",
        )
    # A pipe has no width of its own, and a table cut to 80 columns would lose figures.
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _print_folder(folders: list[Path]) -> None:
    from palmetto.training.loading import read_model_config

    if not folders:
        raise PalmettoError("The study holds no model yet; run it first.")
    _print_table([read_model_config(folder) for folder in folders])
    for folder in folders:
        if (folder / "summary.json").exists():
            summary = read_json(folder / "summary.json")
            timing = summary["timing"]
            print(
                f"{summary['name']}: {summary['steps']:,} steps, {summary['tokens']:,} tokens, "
                f"{summary['model_flops']:.3g} FLOPs, loss {summary['final_loss']:.3f}, "
                f"{summary['heldout']['bits_per_byte']:.3f} bits per byte, MFU {timing['mfu']:.1%} "
                f"({timing['peak_flops_source']})"
            )
        else:
            print(f"{folder.name}: training has not finished.")
