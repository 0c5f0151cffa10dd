"""The ladder of PaLM models: neighbours five to nine times apart; the last three are the paper's (table 1).

Each function returns a `ModelConfig`. The first three make the starter family and train in minutes on a laptop's
CPU; the rest use the paper's sequence length of 2,048.
"""

from collections.abc import Callable

from palmetto.common.errors import PalmettoError
from palmetto.model.config import ModelConfig


def _palm(
    name: str, n_layers: int, d_model: int, n_heads: int, head_dim: int, vocab_size: int, sequence_length: int
) -> ModelConfig:
    return ModelConfig(
        name=name,
        n_layers=n_layers,
        d_model=d_model,
        n_heads=n_heads,
        head_dim=head_dim,
        vocab_size=vocab_size,
        sequence_length=sequence_length,
    )


# A recipe is one line, so that the ladder reads as a table.
# ruff: noqa: E501
# fmt: off
def palm_160k() -> ModelConfig:
    """0.16 M parameters: the smallest of the starter family."""
    return _palm("palm_160k", n_layers=2, d_model=32, n_heads=2, head_dim=16, vocab_size=4096, sequence_length=256)


def palm_800k() -> ModelConfig:
    """0.80 M parameters: the middle of the starter family."""
    return _palm("palm_800k", n_layers=3, d_model=96, n_heads=3, head_dim=32, vocab_size=4096, sequence_length=256)


def palm_5m() -> ModelConfig:
    """4.9 M parameters: the largest of the starter family."""
    return _palm("palm_5m", n_layers=4, d_model=256, n_heads=4, head_dim=64, vocab_size=4096, sequence_length=256)


def palm_34m() -> ModelConfig:
    """34 M parameters."""
    return _palm("palm_34m", n_layers=8, d_model=512, n_heads=8, head_dim=64, vocab_size=8192, sequence_length=2048)


def palm_270m() -> ModelConfig:
    """273 M parameters."""
    return _palm("palm_270m", n_layers=16, d_model=1024, n_heads=8, head_dim=128, vocab_size=32768, sequence_length=2048)


def palm_1b5() -> ModelConfig:
    """1.50 B parameters: fills one large GPU."""
    return _palm("palm_1b5", n_layers=24, d_model=2048, n_heads=8, head_dim=256, vocab_size=32768, sequence_length=2048)


def palm_8b() -> ModelConfig:
    """8.63 B parameters (table 1)."""
    return _palm("palm_8b", n_layers=32, d_model=4096, n_heads=16, head_dim=256, vocab_size=256_000, sequence_length=2048)


def palm_62b() -> ModelConfig:
    """62.50 B parameters (table 1)."""
    return _palm("palm_62b", n_layers=64, d_model=8192, n_heads=32, head_dim=256, vocab_size=256_000, sequence_length=2048)


def palm_540b() -> ModelConfig:
    """540.36 B parameters (table 1); heads x head size is 12,288 while d_model is 18,432."""
    return _palm("palm_540b", n_layers=118, d_model=18432, n_heads=48, head_dim=256, vocab_size=256_000, sequence_length=2048)
# fmt: on


LADDER: dict[str, Callable[[], ModelConfig]] = {
    recipe.__name__: recipe
    for recipe in (palm_160k, palm_800k, palm_5m, palm_34m, palm_270m, palm_1b5, palm_8b, palm_62b, palm_540b)
}
"""All recipes by name, smallest first."""


def model_recipe(name: str) -> ModelConfig:
    """Return the ladder's model of that name.

    Raises:
        PalmettoError: there is no such recipe; the message lists those there are.
    """
    if name not in LADDER:
        raise PalmettoError(f"There is no model recipe {name!r}; the ladder has {', '.join(LADDER)}.")
    return LADDER[name]()
