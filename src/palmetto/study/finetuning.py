"""A trained model tuned on examples or on more text: `palmetto finetune` (paper, sections 6.4, 6.6 and 6.7)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, read_json_lines, write_json
from palmetto.common.progress import Reporter, Silent
from palmetto.evaluation.statistics import ratio_bootstrap
from palmetto.evaluation.targets import answer, compare
from palmetto.inference.engine import Engine
from palmetto.model.config import ModelConfig
from palmetto.model.spec import Parameters
from palmetto.recipes.finetuning import FinetuningConfig, finetuning
from palmetto.study.hardware import peak_memory_bytes
from palmetto.study.single import keep_tokenizer, parse_corpus
from palmetto.study.stages import locked
from palmetto.tokenizer.places import tokenizer_of_model
from palmetto.tokenizer.tokenizer import Tokenizer
from palmetto.training.data import TrainingData
from palmetto.training.examples import ExampleRecords, encode_examples, read_examples, split_examples
from palmetto.training.heldout import HeldoutText
from palmetto.training.loading import load_parameters, read_model_config
from palmetto.training.loop import train
from palmetto.training.opening import Start

# Examples looked at on the way, and held-out tokens on the way and at the end.
_ITEMS, _HELDOUT_TOKENS, _FINAL_HELDOUT_TOKENS = 256, 16_384, 1_000_000


@dataclass(frozen=True)
class ExampleFiles:
    """Prompts and targets to tune on."""

    data: tuple[Path, ...]
    """JSON lines of training examples; files are put together, so each weighs by its size."""

    validation: tuple[Path, ...] = ()
    """JSON lines of validation examples; without, some of `data` are held out."""

    validation_fraction: float = 0.05
    """Share of the prompts of `data` that is held out where there are no `validation` files."""

    prompt_field: str = "prompt"
    """Field of a line that holds the prompt."""

    target_field: str = "target"
    """Field of a line that holds the target."""


class _Judge(Protocol):
    """Measures a model on what it was not tuned on."""

    def look(self, config: ModelConfig, parameters: Parameters) -> dict[str, Any]:
        """Return figures for a row of `metrics.jsonl`, of a part."""

    def measure(self, config: ModelConfig, parameters: Parameters, what: str) -> Any:
        """Measure all of it."""

    def compare(self, tuned: Any, base: Any) -> tuple[dict[str, Any], str]:
        """Return what two measurements give for `summary.json`, and in one line."""


class _ExampleJudge:
    """Loss of targets and exact match."""

    def __init__(self, records: ExampleRecords, eod_id: int, seed: int, reporter: Reporter) -> None:
        self._records, self._eod, self._seed, self._reporter = records, eod_id, seed, reporter
        order = np.random.default_rng(seed).permutation(len(records))
        self._items = sorted(order[:_ITEMS].tolist())

    def look(self, config: ModelConfig, parameters: Parameters) -> dict[str, Any]:
        seen = answer(Engine(config, parameters), self._records, Silent(), items=self._items)
        return {"validation_loss": seen.loss, "validation_exact_match": seen.exact_match}

    def measure(self, config: ModelConfig, parameters: Parameters, what: str) -> Any:
        engine = Engine(config, parameters)
        return answer(engine, self._records, self._reporter, description=f"validation of {what}")

    def compare(self, tuned: Any, base: Any) -> tuple[dict[str, Any], str]:
        figures = compare(tuned, base, self._seed)
        saved, gained = figures["loss_saved"], figures["exact_match_gained"]
        line = (
            f"on {figures['examples']:,} validation examples {tuned.loss:.3f} nats a target token, before "
            f"{base.loss:.3f} (saved {saved['difference']:.3f} [{saved['ci_low']:.3f}, {saved['ci_high']:.3f}]); exact "
            f"match {tuned.exact_match:.1%}, before {base.exact_match:.1%} (gained {100 * gained['difference']:.1f} "
            f"[{100 * gained['ci_low']:.1f}, {100 * gained['ci_high']:.1f}] points)"
        )
        return figures, line


class _TextJudge:
    """Bits per byte of held-out documents."""

    def __init__(self, corpus: Path, eod_id: int, seed: int) -> None:
        self._part = HeldoutText(corpus, eod_id, _HELDOUT_TOKENS)
        self._whole = HeldoutText(corpus, eod_id, _FINAL_HELDOUT_TOKENS)
        self._seed = seed

    def look(self, config: ModelConfig, parameters: Parameters) -> dict[str, Any]:
        return {"heldout_bits_per_byte": self._part.measure(parameters, config).bits_per_byte}

    def measure(self, config: ModelConfig, parameters: Parameters, what: str) -> Any:
        del what
        return self._whole.measure(parameters, config)

    def compare(self, tuned: Any, base: Any) -> tuple[dict[str, Any], str]:
        bits = (base.nats - tuned.nats) / math.log(2)
        low, high = ratio_bootstrap(bits, tuned.bytes.astype(np.float64), 0.95, 2000, self._seed)
        saved = float(bits.sum() / tuned.bytes.sum())
        figures = {
            "documents": len(tuned.nats),
            "bytes": int(tuned.bytes.sum()),
            "tokens": tuned.tokens,
            "tuned": {"bits_per_byte": tuned.bits_per_byte},
            "base": {"bits_per_byte": base.bits_per_byte},
            "bits_per_byte_saved": {"difference": saved, "ci_low": low, "ci_high": high},
        }
        line = (
            f"on {figures['documents']:,} held-out documents {tuned.bits_per_byte:.4f} bits per byte, before "
            f"{base.bits_per_byte:.4f} (saved {saved:.4f} [{low:.4f}, {high:.4f}])"
        )
        return figures, line


def finetune(
    base: Path,
    source: ExampleFiles | Sequence[str],
    out: Path,
    settings: FinetuningConfig,
    reporter: Reporter,
    *,
    sequence_length: int | None = None,
) -> dict[str, Any]:
    """Tune a model into `out`, a model folder like its base's, or go on with it; returns what `summary.json` says.

    Args:
        base: the model folder to begin from: its newest checkpoint.
        source: examples, or packed corpora as `DIR` or `DIR=WEIGHT`, of which the first one's held-out text is
            validation.
        out: the model's folder; gets `tokenizer/` too.
        settings: the run.
        reporter: shows progress.
        sequence_length: tokens the tuned model takes at once; the base's unless given.

    Raises:
        PalmettoError: no model or tokenizer; files that cannot be used; text packed otherwise; another run's folder;
            or as `train`.
        StoppedError: SIGTERM came; the run is saved and can go on.
    """
    start = Start.newest(base, reset_optimizer=True)
    before = read_model_config(base)
    described = read_json(base / "config.json")
    tokenizer_file = tokenizer_of_model(base)
    tokenizer = Tokenizer.load(tokenizer_file)
    if tokenizer.sha256 != described["tokenizer_sha256"]:
        raise PalmettoError(
            f"{tokenizer_file} is not the tokenizer that {base} was trained with; put that one into {base}."
        )
    _check_out(out, base)
    # The rotary angles of longer or shorter sequences need no new weights.
    length = before.sequence_length if sequence_length is None else sequence_length
    model = replace(before, name=f"{before.name}_tuned", sequence_length=length)
    judge: _Judge
    if isinstance(source, ExampleFiles):
        data, validation = _examples(source, tokenizer, length, settings.seed, reporter)
        judge = _ExampleJudge(validation, tokenizer.eod_id, settings.seed, reporter)
    else:
        data, corpus = _text(source, tokenizer, length, base)
        judge = _TextJudge(corpus, tokenizer.eod_id, settings.seed)
    records, _ = data.held()
    training = finetuning(settings, records)
    with locked(out):
        keep_tokenizer(tokenizer_file, out)
        trained = train(
            model,
            training,
            data,
            out,
            lambda parameters: judge.look(model, parameters),
            reporter,
            start=start,
        )
    tuned = judge.measure(model, trained.parameters, "the tuned model")
    facts = trained.facts
    del trained
    figures, line = judge.compare(tuned, judge.measure(model, load_parameters(base)[1], "its base"))
    summary = {**facts, "base": start.facts(), "validation": figures | _best(out, model.name, reporter)}
    summary["timing"]["peak_memory_bytes"] = peak_memory_bytes()
    write_json(out / "summary.json", summary)
    reporter.say(f"{model.name}: {line}")
    return summary


def _check_out(out: Path, base: Path) -> None:
    """Refuse a folder that holds anything but a run; whose run it is, `train` looks at."""
    if out.resolve() == base.resolve():
        raise PalmettoError(f"--out {out} is the base itself; choose another folder.")
    if out.exists() and not out.is_dir():
        raise PalmettoError(f"--out {out} is a file; choose another name.")
    if out.is_dir() and not (out / "config.json").exists():
        others = sorted(path.name for path in out.iterdir() if path.name.strip(".") not in _OURS)
        if others:
            raise PalmettoError(
                f"--out {out} holds {others[0]!r} but no run to go on with; choose a new folder."
            )


# What an interrupted start may have left.
_OURS = ("lock", "tokenizer", "tokenizer.partial", "config.json.partial")


def _examples(
    files: ExampleFiles, tokenizer: Tokenizer, length: int, seed: int, reporter: Reporter
) -> tuple[TrainingData, ExampleRecords]:
    """Return the training data, and the validation examples."""
    fields = {"prompt_field": files.prompt_field, "target_field": files.target_field}
    chosen = [example for path in files.data for example in read_examples(path, **fields)]
    shared = 0
    if files.validation:
        held = [example for path in files.validation for example in read_examples(path, **fields)]
        known = set(chosen)
        shared = sum(example in known for example in held)
        if shared:
            reporter.say(
                f"{shared:,} of {len(held):,} validation examples are among the training examples too: their figures "
                "show memory, not only skill."
            )
    else:
        chosen, held = split_examples(chosen, files.validation_fraction, seed)
        reporter.say(f"{len(held):,} of {len(held) + len(chosen):,} examples are held out for validation.")
    records = encode_examples(chosen, tokenizer, length, "training examples", reporter)
    validation = encode_examples(held, tokenizer, length, "validation examples", reporter)
    longest = max(records.facts["longest"], validation.facts["longest"])
    if 2 * longest <= length:
        reporter.say(
            f"Examples have at most {longest} tokens and records {length}, the rest padding; --sequence-length "
            f"{longest - 1} would take about {(longest - 1) / length:.0%} of the time, and make a model of so many."
        )
    facts = {
        "tokenizer_sha256": tokenizer.sha256,
        "corpus_hash": records.facts["sha256"],
        "examples": {
            "training": records.facts,
            "validation": {**validation.facts, "among_training": shared},
        },
    }
    return TrainingData((records,), (1,), length, facts), validation


def _text(corpora: Sequence[str], tokenizer: Tokenizer, length: int, base: Path) -> tuple[TrainingData, Path]:
    """Return the training data, and the corpus whose held-out text is validation."""
    folders, weights = zip(*map(parse_corpus, corpora), strict=True)
    data = TrainingData.packed(folders, weights)
    if data.facts["tokenizer_sha256"] != tokenizer.sha256:
        raise PalmettoError(
            f"{folders[0]} was packed with another tokenizer than {base} was trained with; pack the text again with "
            f"palmetto corpus --tokenizer {tokenizer_of_model(base)}."
        )
    if data.sequence_length != length:
        raise PalmettoError(
            f"{folders[0]} holds sequences of {data.sequence_length} tokens, and {length} are asked for; pack the "
            f"text again with palmetto corpus --sequence-length {length}, or give --sequence-length "
            f"{data.sequence_length} here."
        )
    return data, folders[0]


def _best(out: Path, name: str, reporter: Reporter) -> dict[str, Any]:
    """Return at which step validation was best, and say so when more steps made it worse."""
    looks = []
    for row in read_json_lines(out / "metrics.jsonl"):
        for key in ("validation_loss", "heldout_bits_per_byte"):
            if key in row:
                looks.append((row[key], row["step"]))
    value, step = min(looks)
    if step != looks[-1][1]:
        reporter.say(
            f"{name}: validation was best at step {step:,} ({value:.4f}, at the end {looks[-1][0]:.4f}); --steps "
            f"{step} into another folder gives that model."
        )
    return {"best_step": step, "best": value, "last": looks[-1][0]}
