"""Reads a trained model back: its shape from `config.json`, its weights from the newest checkpoint."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import jax

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json
from palmetto.model.config import ModelConfig
from palmetto.model.spec import Parameters
from palmetto.sharding import MeshConfig, make_mesh
from palmetto.training.checkpoints import newest_step, restore_parameters
from palmetto.training.state import abstract_state

FORMAT = 1


def model_config_from(values: dict[str, Any], name: str) -> ModelConfig:
    """Return the `ModelConfig` that `config.json` describes; derived figures in it are ignored."""
    known = {field.name for field in fields(ModelConfig)} - {"name"}
    return ModelConfig(name=name, **{key: value for key, value in values.items() if key in known})


def read_model_config(model_folder: Path) -> ModelConfig:
    """Return the shape of the model in a folder.

    Raises:
        PalmettoError: there is no model, or it was written by another version's format.
    """
    path = model_folder / "config.json"
    if not path.exists():
        raise PalmettoError(
            f"{model_folder} holds no model (config.json is missing); give a folder such as STUDY/models/SIZE."
        )
    stored = read_json(path)
    if stored["format"] != FORMAT:
        raise PalmettoError(
            f"{path} has format {stored['format']}; this version of Palmetto reads format {FORMAT}."
        )
    return model_config_from(stored["model"], stored["name"])


def load_parameters(model_folder: Path) -> tuple[ModelConfig, Parameters]:
    """Return the model's shape and its newest committed weights, verified, on the first device.

    Raises:
        PalmettoError: no model, no committed checkpoint, or a damaged one.
    """
    config = read_model_config(model_folder)
    checkpoints = model_folder / "checkpoints"
    step = newest_step(checkpoints)
    mesh = make_mesh(MeshConfig(data=1), jax.devices()[:1])
    return config, restore_parameters(checkpoints, step, abstract_state(config, mesh).parameters)
