"""`palmetto finetune` in this process: what it makes, how it goes on, what it refuses. Its base is real but tiny."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tyro

from palmetto.cli.corpus import Corpus
from palmetto.cli.finetune import Finetune
from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, read_json_lines, sha256_file
from palmetto.common.progress import Silent, Terminal
from palmetto.evaluation.harness import load_model
from palmetto.inference.types import ScoreRequest
from palmetto.model.config import ModelConfig
from palmetto.recipes.finetuning import FinetuningConfig
from palmetto.recipes.training import RunConfig
from palmetto.study.finetuning import ExampleFiles, finetune
from palmetto.study.single import train_single
from palmetto.training.config import TrainingConfig
from palmetto.training.examples import encode_examples, read_examples, split_examples
from palmetto.training.schedules import BatchSize
from palmetto.training.spikes import SpikeConfig

MODEL = ModelConfig("tiny", n_layers=1, d_model=8, n_heads=1, head_dim=8, vocab_size=300, sequence_length=32)
SETTINGS = FinetuningConfig(steps=6, batch_size=4, learning_rate=0.05, evaluate_every=2)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, a base that was trained on it for two steps, and examples of another task."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "text").mkdir()
    for number in range(12):
        lines = [f"{number + line} is before {number + line + 1}, as all know." for line in range(40)]
        (folder / "text" / f"{number}.txt").write_text("\n".join(lines))
    Corpus(
        out=folder / "mine",
        text=(str(folder / "text"),),
        vocab_size=300,
        sequence_length=32,
        heldout_fraction=0.2,
    ).run(Terminal())
    training = TrainingConfig(steps=2, batch_size=BatchSize((2,)), spikes=SpikeConfig(enabled=False))
    train_single(RunConfig(MODEL, training), [str(folder / "mine")], folder / "base", Silent())
    with (folder / "train.jsonl").open("w") as stream:
        for number in range(40):
            stream.write(json.dumps({"prompt": f"after {number}:", "target": f" {number + 1}"}) + "\n")
    return folder


def examples(home: Path) -> ExampleFiles:
    return ExampleFiles((home / "train.jsonl",), validation_fraction=0.2)


@pytest.fixture(scope="module")
def tuned(home: Path) -> Path:
    """A finished run; nothing may change it."""
    before = hashes(home / "base")
    finetune(home / "base", examples(home), home / "tuned", SETTINGS, Silent())
    assert hashes(home / "base") == before
    return home / "tuned"


def hashes(folder: Path) -> dict[str, str]:
    return {str(path): sha256_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def weights(folder: Path) -> str:
    return read_json(folder / "summary.json")["parameters_sha256"]


def test_the_folder_is_a_model_with_its_tokenizer(home: Path, tuned: Path, tmp_path: Path) -> None:
    elsewhere = shutil.copytree(tuned, tmp_path / "elsewhere")
    engine, tokenizer = load_model(elsewhere)
    assert engine.max_length == 32
    assert tokenizer.encode("as all know") == load_model(home / "base")[1].encode("as all know")
    described = read_json(elsewhere / "config.json")
    assert described["name"] == "tiny_tuned"
    assert described["start"] == {
        "name": "tiny",
        "step": 2,
        "corpus_hash": read_json(home / "base" / "config.json")["corpus_hash"],
        "checkpoint_sha256": read_json(home / "base/checkpoints/00000002/manifest.json")["sha256"],
        "reset_optimizer": True,
    }
    training, validation = (described["examples"][split] for split in ("training", "validation"))
    assert training["examples"] + validation["examples"] == 40


def test_the_learning_rate_is_constant_and_validation_is_looked_at(tuned: Path) -> None:
    rows = list(read_json_lines(tuned / "metrics.jsonl"))
    assert {row["learning_rate"] for row in rows} == {rows[0]["learning_rate"]}
    assert [row["step"] for row in rows if "validation_loss" in row] == [2, 4, 6]


def test_the_summary_compares_it_with_its_base(home: Path, tuned: Path) -> None:
    """The oracle scores the validation examples of the two folders one by one."""
    figures = read_json(tuned / "summary.json")["validation"]
    _, held = split_examples(read_examples(home / "train.jsonl"), 0.2, 0)
    for who, folder in (("tuned", tuned), ("base", home / "base")):
        engine, tokenizer = load_model(folder)
        records = encode_examples(held, tokenizer, 32, "x", Silent())
        nats = []
        for number in range(len(records)):
            example = records.example(number)
            (score,) = engine.score([ScoreRequest(example.context, example.target)], Silent(), "x")
            nats.append(-score.log_prob)
        assert figures[who]["example_nats"] == pytest.approx(nats, rel=1e-5)
        assert figures[who]["loss"] == pytest.approx(sum(nats) / records.facts["target_tokens"], rel=1e-5)
    assert figures["loss_saved"]["ci_low"] > 0


class Stopping(Silent):
    """Ctrl-C after some steps."""

    def __init__(self, after: int) -> None:
        self.left = after

    @contextmanager
    def bar(self, description: str, total: float | int | None, unit: str) -> Iterator[Any]:
        outer = self

        class Bar:
            def advance(self, amount: float | int = 1) -> None:
                if unit == "steps" and amount == 1:
                    outer.left -= 1
                    if outer.left == 0:
                        raise KeyboardInterrupt

            def note(self, text: str) -> None:
                pass

        yield Bar()


def test_an_interrupted_run_goes_on_to_the_same_weights(home: Path, tuned: Path, tmp_path: Path) -> None:
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        finetune(home / "base", examples(home), out, SETTINGS, Stopping(after=5))
    assert not (out / "summary.json").exists()
    finetune(home / "base", examples(home), out, SETTINGS, Silent())
    assert weights(out) == weights(tuned)


def test_a_shorter_run_is_the_beginning_of_a_longer_one(home: Path, tuned: Path, tmp_path: Path) -> None:
    """So the best step of a run can be had by a run of that many steps, as the command says."""
    short = finetune(home / "base", examples(home), tmp_path / "short", replace(SETTINGS, steps=4), Silent())
    rows = list(read_json_lines(tuned / "metrics.jsonl"))
    assert short["final_loss"] == rows[3]["loss"]
    assert read_json(tmp_path / "short" / "summary.json")["validation"]["last"] == rows[3]["validation_loss"]


def test_another_run_is_not_touched(home: Path, tuned: Path) -> None:
    before = hashes(tuned)
    with pytest.raises(PalmettoError, match=r"describes another run \(different: training\)"):
        finetune(home / "base", examples(home), tuned, replace(SETTINGS, learning_rate=0.01), Silent())
    assert hashes(tuned) == before


def test_more_text_is_trained_on_all_its_tokens(home: Path, tmp_path: Path) -> None:
    """As PaLM-Coder: packed text, and held-out bits per byte."""
    out = tmp_path / "coder"
    corpora = [f"{home / 'mine'}=3", f"{home / 'mine'}=1"]
    summary = finetune(home / "base", corpora, out, replace(SETTINGS, steps=4), Silent())
    assert [source["weight"] for source in read_json(out / "config.json")["mixture"]] == [3, 1]
    assert summary["validation"]["bits_per_byte_saved"]["ci_low"] > 0
    assert load_model(out)[0].max_length == 32


def test_validation_examples_that_were_trained_on_are_counted(home: Path, tmp_path: Path) -> None:
    validation = tmp_path / "validation.jsonl"
    validation.write_text(
        '{"prompt": "after 3:", "target": " 4"}\n{"prompt": "after 99:", "target": " 100"}\n'
    )
    files = ExampleFiles((home / "train.jsonl",), (validation,))
    finetune(home / "base", files, tmp_path / "out", replace(SETTINGS, steps=1, evaluate_every=1), Silent())
    assert read_json(tmp_path / "out" / "config.json")["examples"]["validation"]["among_training"] == 1


def test_a_folder_of_other_things_and_the_base_itself_are_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("the only copy")
    with pytest.raises(PalmettoError, match=r"holds 'thesis\.txt' but no run"):
        finetune(home / "base", examples(home), tmp_path, SETTINGS, Silent())
    with pytest.raises(PalmettoError, match="is a file"):
        finetune(home / "base", examples(home), tmp_path / "thesis.txt", SETTINGS, Silent())
    with pytest.raises(PalmettoError, match="is the base itself"):
        finetune(home / "base", examples(home), home / "base", SETTINGS, Silent())


def test_text_packed_otherwise_is_refused(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "mine", tmp_path / "mine")
    manifest = tmp_path / "mine" / "corpus" / "manifest.json"
    values = read_json(manifest)
    manifest.write_text(json.dumps({**values, "tokenizer_sha256": "0"}))
    with pytest.raises(PalmettoError, match="packed with another tokenizer"):
        finetune(home / "base", [str(tmp_path / "mine")], tmp_path / "out", SETTINGS, Silent())
    with pytest.raises(PalmettoError, match="holds sequences of 32 tokens, and 16"):
        finetune(
            home / "base", [str(home / "mine")], tmp_path / "out", SETTINGS, Silent(), sequence_length=16
        )
    assert not (tmp_path / "out").exists()


def parse(*arguments: str | Path) -> Finetune:
    return tyro.cli(Finetune, args=[str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "either --data"),
        (("--data", "a", "--corpus", "b"), "either --data"),
        (("--corpus", "b", "--validation", "c"), "--validation is for --data"),
        (("--data", "a", "--sequence-length", "0"), "--sequence-length is 0"),
        (("--data", "a"), "holds no model"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(PalmettoError, match=words):
        parse(tmp_path, "--out", tmp_path / "out", *arguments).run(Terminal())
    assert not (tmp_path / "out").exists()


def test_the_papers_settings_are_the_defaults() -> None:
    command = parse("base", "--out", "out", "--data", "a", "b")
    assert command.data == (Path("a"), Path("b"))
    assert (command.settings.batch_size, command.settings.learning_rate, command.settings.dropout) == (
        32,
        5e-5,
        0.0,
    )
    assert parse("base", "--out", "out", "--mesh.data", "2", "--dropout", "0.1").settings.dropout == 0.1
