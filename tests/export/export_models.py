"""Small model folders, as training leaves them, for the tests of the export room."""

import io
import string
import tempfile
from dataclasses import asdict
from functools import cache
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import sentencepiece

from palmetto.common.files import sha256_bytes, write_json
from palmetto.common.progress import Silent
from palmetto.model.config import ModelConfig
from palmetto.model.spec import Parameters, map_specs, parameter_specs
from palmetto.tokenizer.config import TokenizerConfig
from palmetto.tokenizer.train import train_tokenizer
from palmetto.training.checkpoints import Checkpoints
from palmetto.training.loading import FORMAT
from palmetto.training.state import TrainState

VOCABULARY = 400
SMALL = ModelConfig(
    "small", n_layers=3, d_model=16, n_heads=3, head_dim=8, vocab_size=VOCABULARY, sequence_length=32
)


def weights(config: ModelConfig) -> Parameters:
    """Weights that all differ, the norm scales too."""
    rng = np.random.default_rng(3)
    return map_specs(
        lambda spec: jnp.asarray(rng.standard_normal(spec.shape, dtype=np.float32)), parameter_specs(config)
    )


@cache
def tokenizer_model(model_type: str = "bpe", **changes: object) -> bytes:
    """A SentencePiece model from Palmetto's training; `changes` are options that it would not choose."""
    words = [a + b + c for a in "btkm" for b in "aeo" for c in ("n", "rs", "lly")]
    text = "".join(f"{word} {word.upper()}{' ' * (n % 4)}\n\n" for n, word in enumerate(words * 3))
    texts = [text, string.printable, text[::-1]]
    config = TokenizerConfig(vocab_size=VOCABULARY, character_coverage=1.0, model_type=model_type)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        manifest = train_tokenizer(texts, config, Path(folder), Silent())
        model = (Path(folder) / "tokenizer.model").read_bytes()
    if not changes:
        return model
    writer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=writer, minloglevel=2, **{**manifest["flags"], **changes}
    )
    return writer.getvalue()


def make_model(folder: Path, config: ModelConfig = SMALL, tokenizer: bytes | None = None) -> Path:
    """Write `models/<name>` below a study's folder, with one checkpoint, and the study's tokenizer."""
    tokenizer = tokenizer_model() if tokenizer is None else tokenizer
    model = folder / "models" / config.name
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "tokenizer" / "tokenizer.model").write_bytes(tokenizer)
    described = {
        "format": FORMAT,
        "name": config.name,
        "model": asdict(config),
        "tokenizer_sha256": sha256_bytes(tokenizer),
    }
    write_json(model / "config.json", described)
    with Checkpoints(model / "checkpoints") as checkpoints:
        checkpoints.save(7, TrainState(weights(config), {"count": jnp.int32(7)}))
    return model
