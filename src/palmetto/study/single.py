"""One model trained by itself, on corpora already packed: `palmetto train`."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from palmetto.common.errors import PalmettoError
from palmetto.common.files import atomic_folder, write_json
from palmetto.common.progress import Reporter, Silent
from palmetto.model.config import ModelConfig
from palmetto.model.spec import Parameters
from palmetto.recipes.training import RunConfig
from palmetto.study.hardware import peak_memory_bytes
from palmetto.study.stages import locked
from palmetto.tokenizer.places import copy_tokenizer, tokenizer_of_corpora
from palmetto.tokenizer.tokenizer import Tokenizer
from palmetto.training.data import TrainingData
from palmetto.training.engine import Engine
from palmetto.training.heldout import HeldoutText
from palmetto.training.loading import read_model_config
from palmetto.training.loop import train
from palmetto.training.opening import Start
from palmetto.training.processes import once, primary, together


def parse_corpus(word: str) -> tuple[Path, int]:
    """Return the packed folder and the weight of `DIR` or `DIR=WEIGHT`; DIR may be the folder that holds `corpus/`.

    Raises:
        PalmettoError: there is no corpus there, or the weight is not a whole number of at least 1.
    """
    name, _, weight = word.rpartition("=") if "=" in word else (word, "", "1")
    if not weight.isdigit() or int(weight) < 1:
        raise PalmettoError(f"--corpus {word}: the weight {weight!r} must be a whole number of at least 1.")
    folder = Path(name)
    for place in (folder, folder / "corpus"):
        if (place / "manifest.json").exists() and (place / "train.tokens").exists():
            return place, int(weight)
    raise PalmettoError(
        f"--corpus {word}: {folder} holds no packed corpus; make one with `palmetto corpus --text YOUR_TEXT --out "
        f"{folder}`."
    )


def fit_model(
    model: ModelConfig, data: TrainingData, tokenizer: Tokenizer, reporter: Reporter
) -> ModelConfig:
    """Return the model with the corpus's sequence length and the tokenizer's vocabulary; a change is said."""
    fitted = replace(model, vocab_size=tokenizer.vocab_size, sequence_length=data.sequence_length)
    for field in ("vocab_size", "sequence_length"):
        before, now = vars(model)[field], vars(fitted)[field]
        if before != now:
            reporter.say(f"{model.name}: {field} is the corpus's {now:,} instead of the recipe's {before:,}")
    return fitted


def train_single(
    run: RunConfig,
    corpora: Sequence[str],
    out: Path,
    reporter: Reporter,
    *,
    base: Path | None = None,
    profile: bool = False,
    engine: Callable[[ModelConfig], Engine] | None = None,
    facts: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train one model into `out`, or go on with it; returns what `summary.json` says.

    Every process of a run calls it.

    Args:
        run: model and training. With `base` the model's shape is the base's.
        corpora: `DIR` or `DIR=WEIGHT` each. Held-out text is the first one's.
        out: the model's folder; its tokenizer is copied into it.
        reporter: shows progress.
        base: a trained model to go on from, on these corpora and by this run's schedules (appendix F).
        profile: whether to write a trace of three steps.
        engine: makes what makes the steps, of the model that the corpora gave its sizes; left out, the run's mesh does.
        facts: what `config.json` records besides, and a run that goes on must find there.

    Raises:
        PalmettoError: a corpus or its tokenizer is missing, or does not fit the base; or as `train`.
    """
    with together(), ExitStack() as held:
        return _train_single(
            run, corpora, out, reporter if primary() else Silent(), base, profile, engine, facts or {}, held
        )


def _train_single(
    run: RunConfig,
    corpora: Sequence[str],
    out: Path,
    reporter: Reporter,
    base: Path | None,
    profile: bool,
    engine: Callable[[ModelConfig], Engine] | None,
    facts: dict[str, Any],
    held: ExitStack,
) -> dict[str, Any]:
    folders, weights = zip(*map(parse_corpus, corpora), strict=True)
    data = TrainingData.packed(folders, weights)
    data = replace(data, facts=data.facts | facts)
    source = tokenizer_of_corpora(folders)
    tokenizer = Tokenizer.load(source)
    if tokenizer.sha256 != data.facts["tokenizer_sha256"]:
        raise PalmettoError(
            f"{source} is not the tokenizer that {folders[0]} was packed with; put that one there."
        )
    if base is None:
        model, start = fit_model(run.model, data, tokenizer, reporter), None
    else:
        start = Start.newest(base)
        model = replace(read_model_config(base), name=out.name)
        _check_base(base, model, data)
    heldout = HeldoutText(folders[0], tokenizer.eod_id, run.training.heldout_tokens)

    def look(parameters: Parameters) -> dict[str, Any]:
        return {"heldout_bits_per_byte": heldout.measure(parameters, model).bits_per_byte}

    def claim() -> None:
        held.enter_context(locked(out))
        keep_tokenizer(source, out)

    once(claim)
    made = None if engine is None else engine(model)
    trained = train(model, run.training, data, out, look, reporter, start=start, profile=profile, engine=made)
    final = HeldoutText(folders[0], tokenizer.eod_id, run.training.final_heldout_tokens)
    losses = final.measure(trained.parameters, model)
    measured = {
        "bits_per_byte": losses.bits_per_byte,
        "tokens": losses.tokens,
        "bytes": int(losses.bytes.sum()),
        "documents": len(losses.bytes),
    }
    summary = {**trained.facts, "heldout": measured}
    summary["timing"]["peak_memory_bytes"] = peak_memory_bytes()
    once(lambda: write_json(out / "summary.json", summary))
    return summary


def keep_tokenizer(source: Path, out: Path) -> None:
    """Copy the tokenizer into a model's folder, unless it is there: the model is then whole by itself."""
    if not (out / "tokenizer").exists():
        with atomic_folder(out / "tokenizer") as folder:
            copy_tokenizer(source, folder)


def _check_base(base: Path, model: ModelConfig, data: TrainingData) -> None:
    from palmetto.common.files import read_json

    if read_json(base / "config.json")["tokenizer_sha256"] != data.facts["tokenizer_sha256"]:
        raise PalmettoError(
            f"{base} was trained with another tokenizer than the corpora were packed with; pack them with its own: "
            "palmetto corpus --tokenizer."
        )
    if data.sequence_length != model.sequence_length:
        raise PalmettoError(
            f"{base} was trained on {model.sequence_length} tokens at once and the corpora hold "
            f"{data.sequence_length}; pack them with --sequence-length {model.sequence_length}."
        )
