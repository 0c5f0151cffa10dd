"""`palmetto finetune` as a user runs it: a tuned model beats its base beyond the interval, and others can load it.

Two real sets. The standard library's own names, and whether each is a class, a function or a constant; it is always
there. With $PALMETTO_DATA, the Czech restaurant set, which the paper finetunes on (section 6.6). Models are never tuned
on what they are tested on: names come from other packages, and the restaurants' acts are those of the test file.
"""

import ast
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palmetto.common.progress import Silent
from palmetto.evaluation.harness import load_model
from palmetto.evaluation.statistics import paired_bootstrap
from palmetto.inference.types import Sampling
from study_drill import Palmetto

LIBRARY = Path(sysconfig.get_paths()["stdlib"])
READ = ("asyncio", "concurrent", "email", "http", "importlib", "json", "logging", "urllib", "xml")
MORE = ("ctypes", "multiprocessing", "unittest")
KINDS = (" class", " function", " constant")
DATA = os.environ.get("PALMETTO_DATA", "")
RESTAURANTS = Path(DATA) / "evals" / "cs_restaurants.tar.gz"
# Languages of the base's text; there is no Czech.
NEAR = ("de", "es", "hu", "pl", "ro")
needs_data = pytest.mark.skipif(
    not (DATA and RESTAURANTS.is_file()), reason="$PALMETTO_DATA is unset or has no cs_restaurants"
)
RUN = """
from palmetto.model.config import ModelConfig
from palmetto.recipes.studies import scaled_training
from palmetto.recipes.training import RunConfig


def run() -> RunConfig:
    model = ModelConfig("small", n_layers=2, d_model=64, n_heads=2, head_dim=32, vocab_size=512, sequence_length={S})
    return RunConfig(model, scaled_training(steps={steps}, sequences=16))
"""


def make_base(
    palmetto: Palmetto, folder: Path, text: list[Path], vocab_size: int, length: int, steps: int
) -> Path:
    """Train a small model on text; returns its folder."""
    (folder / "run.py").write_text(RUN.format(S=length, steps=steps))
    sizes = ("--vocab-size", str(vocab_size), "--sequence-length", str(length))
    ok(palmetto.run("corpus", "--text", *text, *sizes, "--out", folder / "corpus"))
    recipe = f"{folder / 'run.py'}:run"
    ok(palmetto.run("train", recipe, "--corpus", folder / "corpus", "--out", folder / "base"))
    return folder / "base"


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stdout + done.stderr


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def write_examples(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def library_names(packages: list[Path]) -> dict[str, str]:
    """Return {name: kind} of what modules define at their top; names that are more than one kind are left out."""
    kinds: dict[str, set[str]] = {}
    for package in packages:
        for file in sorted(package.rglob("*.py")) if package.is_dir() else [package]:
            for node in ast.parse(file.read_bytes()).body:
                found: list[tuple[str, str]] = []
                if isinstance(node, ast.ClassDef):
                    found = [(node.name, " class")]
                elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    found = [(node.name, " function")]
                elif isinstance(node, ast.Assign):
                    found = [(name.id, " constant") for name in node.targets if isinstance(name, ast.Name)]
                for name, kind in found:
                    kinds.setdefault(name, set()).add(kind)
    return {name: next(iter(kind)) for name, kind in sorted(kinds.items()) if len(kind) == 1}


@dataclass(frozen=True)
class Names:
    """The names, and a model tuned on them."""

    base: Path
    train: Path
    test: Path
    tuned: Path
    seconds: float

    def command(self, out: Path) -> list[str | Path]:
        options = (
            "--steps",
            "150",
            "--learning-rate",
            "1e-2",
            "--evaluate-every",
            "50",
            "--checkpoint-every",
            "25",
        )
        return [
            "finetune",
            self.base,
            "--data",
            self.train,
            "--validation",
            self.test,
            "--out",
            out,
            *options,
        ]


@pytest.fixture(scope="module")
def names(palmetto: Palmetto, tmp_path_factory: pytest.TempPathFactory) -> Names:
    folder = tmp_path_factory.mktemp("names")
    base = make_base(palmetto, folder, [LIBRARY / name for name in READ], 512, 64, steps=250)
    modules = [path for path in sorted(LIBRARY.glob("*.py")) if not path.stem.startswith("_")]
    # Every fourth module is for testing, and what it defines under a name that is known from the others is not asked.
    known = library_names([path for number, path in enumerate(modules) if number % 4])
    asked = library_names(modules[::4])
    rows = [
        [{"prompt": f"{name} is a", "target": kind} for name, kind in found.items()]
        for found in (known, {name: kind for name, kind in asked.items() if name not in known})
    ]
    train, test = (
        write_examples(folder / name, part)
        for name, part in zip(("train.jsonl", "test.jsonl"), rows, strict=True)
    )
    made = Names(base, train, test, folder / "tuned", 0.0)
    start = time.monotonic()
    ok(palmetto.run(*made.command(made.tuned)))
    return Names(base, train, test, folder / "tuned", time.monotonic() - start)


def test_a_model_tuned_on_names_beats_its_base_on_names_of_other_modules(names: Names) -> None:
    figures = read(names.tuned / "summary.json")["validation"]
    saved, gained = figures["loss_saved"], figures["exact_match_gained"]
    print(
        f"\n{names.train.read_bytes().count(10):,} names, tested on {figures['examples']}, {names.seconds:.0f} s:"
        f" {figures['base']['loss']:.3f} -> {figures['tuned']['loss']:.3f} nats a target token, saved"
        f" {saved['difference']:.3f} [{saved['ci_low']:.3f}, {saved['ci_high']:.3f}]; exact match"
        f" {figures['base']['exact_match']:.1%} -> {figures['tuned']['exact_match']:.1%}, gained"
        f" {100 * gained['difference']:.1f} [{100 * gained['ci_low']:.1f}, {100 * gained['ci_high']:.1f}] points"
    )
    kinds = [json.loads(line)["target"] for line in names.test.read_text().splitlines()]
    most = max(map(kinds.count, KINDS)) / len(kinds)
    low, high = figures["tuned"]["exact_match_ci"]
    print(
        f"always saying the most frequent kind gives {most:.1%}; the tuned model's interval is [{low:.1%}, {high:.1%}]"
    )
    assert saved["ci_low"] > 0
    assert gained["ci_low"] > 0
    assert low > most


def choose_kinds(palmetto: Palmetto, model: Path, names: Names, folder: Path) -> np.ndarray:
    """Let lm_eval's own command line ask which of the three kinds is likeliest; returns 1 for right, an item each."""
    rows = [json.loads(line) for line in names.test.read_text().splitlines()]
    items = [{"name": row["prompt"], "label": KINDS.index(row["target"])} for row in rows]
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    (folder / "names.yaml").write_text(
        "task: names\n"
        "dataset_path: json\n"
        f"dataset_kwargs: {{data_files: {{test: {json.dumps(str(folder / 'items.jsonl'))}}}}}\n"
        "test_split: test\n"
        "output_type: multiple_choice\n"
        "doc_to_text: '{{name}}'\n"
        f"doc_to_choice: {json.dumps([kind.strip() for kind in KINDS])}\n"
        "doc_to_target: label\n"
        "metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]\n"
    )
    out = folder / model.name
    arguments = ["--model", "palmetto", "--model_args", f"path={model}", "--tasks", "names", "--log_samples"]
    arguments += ["--include_path", str(folder), "--output_path", str(out)]
    environment = {
        **palmetto.environment,
        "HF_DATASETS_CACHE": str(folder / "cache"),
        "HF_HOME": str(folder / "hf"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "palmetto.evaluation", *arguments],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    (samples,) = out.rglob("samples_names_*.jsonl")
    answers = sorted(map(json.loads, samples.read_text().splitlines()), key=lambda row: row["doc_id"])
    return np.array([int(row["acc"]) for row in answers])


def test_lm_eval_takes_the_tuned_model_and_finds_it_better(
    palmetto: Palmetto, names: Names, tmp_path: Path
) -> None:
    """The base has no word form to learn here: it only has to rank the three kinds."""
    tuned, base = (choose_kinds(palmetto, model, names, tmp_path) for model in (names.tuned, names.base))
    gain = paired_bootstrap(tuned, base)
    print(
        f"\none of three kinds, {len(base)} names: {base.mean():.1%} -> {tuned.mean():.1%}, gained "
        f"{100 * gain.difference:.1f} [{100 * gain.low:.1f}, {100 * gain.high:.1f}] points"
    )
    assert gain.low > 0


def test_generate_and_export_take_the_tuned_model(palmetto: Palmetto, names: Names, tmp_path: Path) -> None:
    written = ok(
        palmetto.run(
            "generate",
            names.tuned,
            "BaseHandler is a",
            "--samples",
            "1",
            "--temperature",
            "0",
            "--max-new-tokens",
            "8",
        )
    )
    assert any(f"BaseHandler is a{kind}" in written for kind in KINDS), written
    ok(palmetto.run("export", names.tuned, tmp_path / "exported"))
    exported = read(tmp_path / "exported" / "palmetto.json")
    assert exported["parameters_sha256"] == read(names.tuned / "summary.json")["parameters_sha256"]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 75)])
def test_a_stopped_run_goes_on_to_the_same_weights(
    palmetto: Palmetto, names: Names, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    out, metrics = tmp_path / "tuned", tmp_path / "tuned" / "metrics.jsonl"
    with palmetto.start(*names.command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not (metrics.exists() and metrics.read_bytes().count(b"\n") > 60):
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(sent)
        assert process.wait(timeout=120) == code
    said = ok(palmetto.run(*names.command(out)))
    assert "going on from the checkpoint of step" in said
    whole, stopped = (read(folder / "summary.json") for folder in (names.tuned, out))
    assert stopped["parameters_sha256"] == whole["parameters_sha256"]
    assert stopped["validation"] == whole["validation"]


def test_another_run_and_bad_files_are_refused_in_a_sentence(
    palmetto: Palmetto, names: Names, tmp_path: Path
) -> None:
    said = palmetto.refused(*names.command(names.tuned), "--seed", "1")
    assert "describes another run" in said
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "p", "target": "t"}\n{"prompt": "p", "answer": "t"}\n')
    said = palmetto.refused("finetune", names.base, "--data", bad, "--out", tmp_path / "out")
    assert f"{bad}, line 2: has no field 'target'" in said
    assert not (tmp_path / "out").exists()


def test_more_text_as_palm_coder(palmetto: Palmetto, names: Names, tmp_path: Path) -> None:
    """Packages that the base has not seen: held-out modules of them take fewer bits afterwards."""
    tokenizer = names.base / "tokenizer"
    text = [LIBRARY / name for name in MORE]
    more = tmp_path / "more"
    sizes = ("--sequence-length", "64", "--heldout-fraction", "0.2")
    ok(palmetto.run("corpus", "--text", *text, "--tokenizer", tokenizer, "--out", more, *sizes))
    options = ("--steps", "100", "--learning-rate", "1e-2")
    said = ok(palmetto.run("finetune", names.base, "--corpus", more, "--out", tmp_path / "coder", *options))
    print(f"\n{[line for line in said.splitlines() if 'bits per byte' in line][-1]}")
    assert read(tmp_path / "coder" / "summary.json")["validation"]["bits_per_byte_saved"]["ci_low"] > 0


@dataclass(frozen=True)
class Restaurants:
    base: Path
    tuned: Path
    test: list[dict[str, str]]
    seconds: float


@pytest.fixture(scope="module")
def restaurants(palmetto: Palmetto, tmp_path_factory: pytest.TempPathFactory) -> Restaurants:
    folder = tmp_path_factory.mktemp("restaurants")
    text = folder / "text.jsonl"
    with gzip.open(Path(DATA) / "text" / "web_multilingual.jsonl.gz", "rt", encoding="utf-8") as stream:
        near = [line for line in stream if json.loads(line)["lang"] in NEAR]
    text.write_text("".join(near), encoding="utf-8")
    base = make_base(palmetto, folder, [text], 1024, 128, steps=200)
    rows: dict[str, list[dict[str, str]]] = {}
    with tarfile.open(RESTAURANTS) as archive:
        for split in ("train", "test"):
            member = archive.extractfile(f"cs_restaurants/{split}.json")
            assert member is not None
            items = json.load(io.TextIOWrapper(member, encoding="utf-8"))
            rows[split] = [{"prompt": item["da"] + "\n", "target": item["text"]} for item in items]
    assert not {row["prompt"] for row in rows["train"]} & {row["prompt"] for row in rows["test"]}
    files = {split: write_examples(folder / f"{split}.jsonl", part) for split, part in rows.items()}
    options = ("--steps", "200", "--learning-rate", "3e-2", "--evaluate-every", "100")
    start = time.monotonic()
    data = ("--data", files["train"], "--validation", files["test"])
    ok(palmetto.run("finetune", base, *data, "--out", folder / "tuned", *options))
    return Restaurants(base, folder / "tuned", rows["test"], time.monotonic() - start)


@needs_data
def test_a_model_tuned_on_restaurants_beats_its_base_on_unseen_dialogue_acts(
    restaurants: Restaurants,
) -> None:
    figures = read(restaurants.tuned / "summary.json")["validation"]
    saved = figures["loss_saved"]
    print(
        f"\n{figures['examples']} unseen acts, {restaurants.seconds:.0f} s: {figures['base']['loss']:.3f} -> "
        f"{figures['tuned']['loss']:.3f} nats a target token, saved {saved['difference']:.3f} "
        f"[{saved['ci_low']:.3f}, {saved['ci_high']:.3f}]; exact match {figures['base']['exact_match']:.1%} -> "
        f"{figures['tuned']['exact_match']:.1%}"
    )
    assert saved["ci_low"] > 0


@needs_data
def test_what_it_writes_is_nearer_to_the_reference(restaurants: Restaurants) -> None:
    """ROUGE-2 (F), the paper's metric of this set, of greedy answers to 150 test acts; white space parts words."""
    from rouge_score.rouge_scorer import RougeScorer
    from rouge_score.tokenizers import Tokenizer as WordCutter

    class WhiteSpace(WordCutter):
        def tokenize(self, text: str) -> list[str]:
            return text.split()

    scorer = RougeScorer(["rouge2"], tokenizer=WhiteSpace())
    scores = []
    for folder in (restaurants.tuned, restaurants.base):
        engine, tokenizer = load_model(folder)
        sampling = Sampling(max_new_tokens=64)
        rows = restaurants.test[:150]
        prompts = [tokens[-64:] for tokens in map(tokenizer.encode, (row["prompt"] for row in rows))]
        written = [tokenizer.decode(tokens) for tokens in engine.generate(prompts, sampling, Silent())]
        scores.append(
            np.array(
                [
                    scorer.score(row["target"], text)["rouge2"].fmeasure
                    for row, text in zip(rows, written, strict=True)
                ]
            )
        )
        print(f"\n{folder.name}: {rows[0]['prompt']!r} -> {written[0]!r}")
    gain = paired_bootstrap(*scores)
    print(
        f"ROUGE-2: {100 * scores[1].mean():.1f} -> {100 * scores[0].mean():.1f}, gained {100 * gain.difference:.1f} "
        f"[{100 * gain.low:.1f}, {100 * gain.high:.1f}]"
    )
    assert gain.low > 0
