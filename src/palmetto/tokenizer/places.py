"""Where the tokenizer of a trained model, or of packed corpora, lies."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json
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


def copy_tokenizer(source: Path, folder: Path) -> None:
    """Copy a tokenizer, and its manifest where it has one, into an existing folder.

    Args:
        source: its folder, or the model file.
        folder: where to.
    """
    model = source / MODEL_NAME if source.is_dir() else source
    shutil.copyfile(model, folder / MODEL_NAME)
    manifest = model.with_name("manifest.json")
    # Beside a model that lies loose in another folder, a manifest is that folder's.
    if model.name == MODEL_NAME and manifest.is_file() and "vocab_size" in read_json(manifest):
        shutil.copyfile(manifest, folder / manifest.name)


def _first(places: Sequence[Path], complaint: str) -> Path:
    for place in places:
        if place.is_file():
            return place
    raise PalmettoError(
        f"{complaint} (looked at {', '.join(map(str, places))}); put the {MODEL_NAME} that was used there."
    )
