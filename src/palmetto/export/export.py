"""A trained model folder to a folder that Hugging Face's programs load, one slice of one weight at a time."""

import hashlib
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np

import palmetto
from palmetto.common.errors import PalmettoError
from palmetto.common.files import atomic_folder, read_json, sha256_file, write_json
from palmetto.common.progress import Reporter
from palmetto.export.cohere import (
    FINAL_NORM,
    as_cohere,
    check_exportable,
    cohere_config,
    cohere_tensors,
    generation_config,
    tensor_name,
)
from palmetto.export.shards import ExportDtype, Shards
from palmetto.export.stored import StoredWeights
from palmetto.export.tokenizer_files import tokenizer_files
from palmetto.model.config import ModelConfig
from palmetto.model.spec import named_parameters, parameter_specs
from palmetto.tokenizer.places import tokenizer_of_model
from palmetto.tokenizer.tokenizer import MODEL_NAME, Tokenizer
from palmetto.training.loading import read_model_config

FORMAT = 1
DEFAULT_SHARD_BYTES = 5_000_000_000
# A chunk shared by layers is worth a word above this size.
_SAY_HELD_BYTES = 64 << 20


def export_model(
    model_folder: Path,
    out: Path,
    reporter: Reporter,
    dtype: ExportDtype = "float32",
    max_shard_bytes: int = DEFAULT_SHARD_BYTES,
) -> dict[str, Any]:
    """Write the newest checkpoint of a model as Hugging Face's `CohereForCausalLM`, with its tokenizer.

    Memory holds one layer of one weight, and where the checkpoint stores several layers as one piece, that piece;
    the reporter is told then. `out` appears whole or not at all.

    Args:
        model_folder: `models/<size>`.
        out: folder to make; it must not exist.
        reporter: shown the bytes written.
        dtype: type of the exported weights; `bfloat16` rounds them to nearest.
        max_shard_bytes: most bytes of weights in one file; a larger tensor has a file of its own.

    Returns:
        What `palmetto.json` says: "format", "palmetto", "model_folder_config" (the model's `config.json`), "step",
        "checkpoint_sha256", "tokenizer_sha256", "parameters_sha256" (of the float32 weights, as in the run's
        summary), "dtype", "files" (SHA-256 by name).

    Raises:
        PalmettoError: `out` exists or the disk has no room; no model, checkpoint or tokenizer, or a damaged one;
            a tokenizer that is not the model's; a norm or a tokenizer that the format cannot express.
    """
    if max_shard_bytes < 1:
        raise PalmettoError(f"max_shard_bytes is {max_shard_bytes}; it must be at least 1.")
    if out.exists():
        raise PalmettoError(f"{out} already exists and is never overwritten; choose another folder.")
    config = read_model_config(model_folder)
    check_exportable(config)
    described: dict[str, Any] = read_json(model_folder / "config.json")
    tokenizer_file = tokenizer_of_model(model_folder)
    tokenizer = Tokenizer.load(tokenizer_file)
    _check_tokenizer(tokenizer, tokenizer_file, config, described["tokenizer_sha256"])
    texts = tokenizer_files(tokenizer_file.read_bytes(), config.sequence_length, str(tokenizer_file))
    stored = StoredWeights(model_folder / "checkpoints")

    with atomic_folder(out) as folder:
        shards = Shards(folder, cohere_tensors(config), dtype, max_shard_bytes)
        _check_room(folder, shards.total_bytes)
        shards.begin()
        digest = _write_weights(config, stored, shards, reporter)
        shards.finish()
        shutil.copyfile(tokenizer_file, folder / MODEL_NAME)
        for name, content in texts.items():
            write_json(folder / name, content)
        write_json(folder / "config.json", cohere_config(config, tokenizer.eod_id, dtype))
        write_json(folder / "generation_config.json", generation_config(tokenizer.eod_id))
        provenance = {
            "format": FORMAT,
            "palmetto": palmetto.__version__,
            "model_folder_config": described,
            "step": stored.step,
            "checkpoint_sha256": stored.manifest_sha256,
            "tokenizer_sha256": tokenizer.sha256,
            "parameters_sha256": digest,
            "dtype": dtype,
            "files": {path.name: sha256_file(path) for path in sorted(folder.iterdir())},
        }
        write_json(folder / "palmetto.json", provenance)
    return provenance


def _check_tokenizer(tokenizer: Tokenizer, file: Path, config: ModelConfig, trained_with: str) -> None:
    if tokenizer.sha256 != trained_with:
        raise PalmettoError(
            f"{file} is not the tokenizer that {config.name} was trained with (SHA-256 {tokenizer.sha256[:12]}..., "
            f"config.json says {trained_with[:12]}...); put that one into the model's folder."
        )
    if tokenizer.vocab_size > config.vocab_size:
        raise PalmettoError(
            f"{file} has {tokenizer.vocab_size} tokens, but {config.name} has {config.vocab_size} rows; they do not "
            "belong together."
        )


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise PalmettoError(
            f"{folder.parent} has {free:,} bytes free, but the exported weights take {needed:,}; make room, choose "
            "another folder, or export with dtype bfloat16."
        )


def _write_weights(config: ModelConfig, stored: StoredWeights, shards: Shards, reporter: Reporter) -> str:
    """Write every tensor; return the SHA-256 of all stored weights in declared order."""
    specs = named_parameters(parameter_specs(config))
    held = max(stored.held_bytes(name, spec.shape) for name, spec in specs.items())
    if held > _SAY_HELD_BYTES:
        reporter.say(
            f"{config.name}: the checkpoint stores all layers of a weight as one piece, so up to {held / 1e6:,.0f} MB "
            "are held in memory beside the layer at hand."
        )
    digest = hashlib.sha256()
    total = sum(math.prod(spec.shape) for spec in specs.values())
    with reporter.bar(f"export {config.name}", total, "weights") as bar:
        for name, spec in specs.items():
            for part in stored.slices(name, spec.shape):
                digest.update(np.ascontiguousarray(part.values).data)
                if name == "embedding":
                    shards.write(tensor_name(name, 0), part.values, part.start)
                else:
                    shards.write(tensor_name(name, part.start), as_cohere(name, part.values[0], config))
                bar.advance(part.values.size)
        shards.write(FINAL_NORM, np.ones(config.d_model, np.float32))
    return digest.hexdigest()
