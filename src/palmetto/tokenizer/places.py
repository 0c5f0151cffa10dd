"""Where the tokenizer of a trained model, or of packed corpora, lies."""

from collections.abc import Sequence
from pathlib import Path

from palmetto.common.errors import PalmettoError
from palmetto.tokenizer.tokenizer import MODEL_NAME


def tokenizer_of_model(folder: Path) -> Path:
    """Return the `tokenizer.model` of a model's folder: the one in it, or its study's.

    Raises:
        PalmettoError: there is none.
    """
    return _first(
        [
            folder / MODEL_NAME,
            folder / "tokenizer" / MODEL_NAME,
            folder.resolve().parent.parent / "tokenizer" / MODEL_NAME,
        ],
        f"{folder}: no tokenizer found",
    )


def tokenizer_of_corpora(folders: Sequence[Path]) -> Path:
    """Return the `tokenizer.model` that packed corpora came with: inside or beside the first that has one.

    Raises:
        PalmettoError: there is none.
    """
    places = [
        place / MODEL_NAME
        for folder in folders
        for place in (folder / "tokenizer", folder.resolve().parent / "tokenizer")
    ]
    return _first(places, f"No tokenizer found beside {', '.join(map(str, folders))}")


def _first(places: Sequence[Path], complaint: str) -> Path:
    for place in places:
        if place.is_file():
            return place
    raise PalmettoError(
        f"{complaint} (looked at {', '.join(map(str, places))}); put the {MODEL_NAME} that was used there."
    )
