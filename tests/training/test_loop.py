"""The training loop: an interrupted run goes on to the same bits, and what it writes beside the weights."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, read_json_lines, write_json, write_json_lines
from palmetto.common.progress import Silent
from palmetto.model.config import ModelConfig
from palmetto.model.forward import forward
from palmetto.model.spec import Parameters, initialise
from palmetto.training.config import TrainingConfig
from palmetto.training.data import TrainingData, open_batches
from palmetto.training.heldout import HeldoutText
from palmetto.training.loop import Trained, train
from palmetto.training.optimizer import OptimizerConfig
from palmetto.training.schedules import BatchSize, LearningRate
from palmetto.training.spikes import SpikeConfig
from palmetto.training.trackers import JsonLines

MODEL = ModelConfig("tiny", n_layers=1, d_model=8, n_heads=1, head_dim=8, vocab_size=30, sequence_length=16)
RUN = TrainingConfig(
    steps=10,
    batch_size=BatchSize(sizes=(2, 4), starts=(0, 5)),
    optimizer=OptimizerConfig(learning_rate=LearningRate(plateau_steps=3)),
    checkpoint_every=3,
    evaluate_every=2,
    spikes=SpikeConfig(rewind=2, skip=8, window=5),
)
EOD = 0
DOCUMENTS = [("a", 20, 31), ("b", 40, 77), ("c", 7, 9), ("d", 33, 60)]  # id, tokens with [eod], bytes


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty training records and four held-out documents of random tokens."""
    folder, length = tmp_path_factory.mktemp("corpus"), MODEL.sequence_length + 1
    rng = np.random.default_rng(1)
    rng.integers(0, MODEL.vocab_size, 40 * length).astype("<u2").tofile(folder / "train.tokens")
    starts = np.cumsum([0, *(tokens for _, tokens, _ in DOCUMENTS)])
    heldout = rng.integers(1, MODEL.vocab_size, starts[-1])
    heldout[starts[1:] - 1] = EOD
    heldout.astype("<u2").tofile(folder / "heldout.tokens")
    rows = [
        {"id": name, "source": "s", "start": int(start), "tokens": tokens, "bytes": size}
        for start, (name, tokens, size) in zip(starts, DOCUMENTS, strict=False)
    ]
    write_json_lines(folder / "heldout.documents.jsonl.gz", rows)
    manifest = {
        "format": 1,
        "sequence_length": MODEL.sequence_length,
        "record_length": length,
        "dtype": "uint16",
        "train_records": 40,
        "train_tokens": 40 * length,
        "heldout_records": int(starts[-1]) // length,
        "heldout_tokens": int(starts[-1]),
        "tokenizer_sha256": "t",
        "corpus_hash": "c",
    }
    write_json(folder / "manifest.json", manifest)
    return folder


def look(parameters: Parameters) -> dict[str, Any]:
    return {"norm_of_embedding": float(np.square(np.asarray(parameters.embedding, np.float64)).sum())}


def run(corpus: Path, out: Path, evaluate: Callable[[Parameters], dict[str, Any]] = look) -> Trained:
    return train(MODEL, RUN, TrainingData.packed([corpus]), out, evaluate, Silent())


def rows(out: Path) -> list[dict[str, Any]]:
    found = list(read_json_lines(out / "metrics.jsonl"))
    for row in found:
        assert set(row.pop("timing")) == {"seconds", "tokens_per_second", "mfu", "checkpoint_seconds"}
    return found


def facts(trained: Trained) -> dict[str, Any]:
    return {name: value for name, value in trained.facts.items() if name != "timing"}


@pytest.fixture(scope="module")
def straight(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trained]:
    out = tmp_path_factory.mktemp("straight") / "tiny"
    return out, run(corpus, out)


class Interrupted(BaseException):
    """Not an error: what a killed run looks like from inside."""


@pytest.mark.parametrize("looks", [(0,), (1,), (2, 0), (4,)])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    corpus: Path, tmp_path: Path, straight: tuple[Path, Trained], looks: tuple[int, ...]
) -> None:
    """It is interrupted in its in-loop evaluations, some steps after a checkpoint or before the first."""
    for allowed in looks:
        left = [allowed]

        def evaluate(parameters: Parameters, left: list[int] = left) -> dict[str, Any]:
            if left[0] == 0:
                raise Interrupted
            left[0] -= 1
            return look(parameters)

        with pytest.raises(Interrupted):
            run(corpus, tmp_path / "tiny", evaluate)
    resumed = run(corpus, tmp_path / "tiny")
    for one, other in zip(
        jax.tree.leaves(resumed.parameters), jax.tree.leaves(straight[1].parameters), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert facts(resumed) == facts(straight[1])
    assert rows(tmp_path / "tiny") == rows(straight[0])


def test_a_finished_run_trains_nothing_and_says_the_same(
    corpus: Path, straight: tuple[Path, Trained]
) -> None:
    def never(parameters: Parameters) -> dict[str, Any]:
        raise AssertionError("evaluated again")

    before = (straight[0] / "metrics.jsonl").read_bytes()
    assert facts(run(corpus, straight[0], never)) == facts(straight[1])
    assert (straight[0] / "metrics.jsonl").read_bytes() == before


def test_there_is_one_row_a_step_with_tokens_counted(straight: tuple[Path, Trained]) -> None:
    """Oracle: the batch sizes of the schedule, added up."""
    found = rows(straight[0])
    assert [row["step"] for row in found] == list(range(1, 11))
    assert [row["batch"] for row in found] == list(range(10))
    assert [row["tokens"] for row in found] == (np.cumsum([2] * 5 + [4] * 5) * 16).tolist()
    assert [row["step"] for row in found if "norm_of_embedding" in row] == [2, 4, 6, 8, 10]
    assert straight[1].facts["tokens"] == 480
    assert straight[1].facts["final_loss"] == found[-1]["loss"]


def test_the_newest_checkpoints_stay_and_those_a_rewind_may_want(straight: tuple[Path, Trained]) -> None:
    """A rewind reaches 2 + 3 + 1 steps before step 10; the newest checkpoint that old is of step 3."""
    folders = (straight[0] / "checkpoints").iterdir()
    assert sorted(int(path.name) for path in folders if path.name.isdigit()) == [3, 6, 9, 10]


def test_the_folder_of_another_run_is_refused(corpus: Path, straight: tuple[Path, Trained]) -> None:
    other = TrainingConfig(**{**vars(RUN), "steps": 11})
    with pytest.raises(PalmettoError, match=r"describes another run \(different: training\)"):
        train(MODEL, other, TrainingData.packed([corpus]), straight[0], look, Silent())


def test_a_claim_that_was_interrupted_is_made_whole(
    corpus: Path, straight: tuple[Path, Trained], tmp_path: Path
) -> None:
    """Killed between its two files, a run must not stay without the second."""
    write_json(tmp_path / "config.json", read_json(straight[0] / "config.json"))
    run(corpus, tmp_path)
    assert read_json(tmp_path / "skipped_batches.json") == []


def test_too_little_text_is_an_error_with_the_remedy(corpus: Path) -> None:
    records = TrainingData.packed([corpus])
    long = TrainingConfig(steps=41, batch_size=BatchSize(sizes=(2,)))
    with pytest.raises(PalmettoError, match=r"82 records .* holds 40 .*training\.steps to 20 or fewer"):
        open_batches(long, records)
    open_batches(TrainingConfig(steps=20, batch_size=BatchSize(sizes=(2,))), records)
    open_batches(TrainingConfig(steps=41, batch_size=BatchSize(sizes=(2,)), epochs=3), records)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loss_that_is_not_finite_stops_the_run(corpus: Path, tmp_path: Path) -> None:
    wild = OptimizerConfig(learning_rate=LearningRate(peak=1e30, plateau_steps=3), weight_decay_exponent=1.0)
    with pytest.raises(PalmettoError, match="not finite; earlier checkpoints are intact"):
        train(
            MODEL,
            TrainingConfig(**{**vars(RUN), "optimizer": wild, "spikes": SpikeConfig(enabled=False)}),
            TrainingData.packed([corpus]),
            tmp_path / "wild",
            look,
            Silent(),
        )


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 40))
def test_the_log_is_cut_after_the_step_that_training_goes_on_from(
    tmp_path_factory: pytest.TempPathFactory, whole: int, step: int, cut: int
) -> None:
    """`whole` rows and the first `cut` bytes of another are there."""
    path = tmp_path_factory.mktemp("log") / "metrics.jsonl"
    lines = [json.dumps({"step": number, "loss": number / 7}) + "\n" for number in range(1, 8)]
    text = "".join(lines[:whole]) + lines[whole][: min(cut, len(lines[whole]) - 1)]
    path.write_text(text)
    log = JsonLines(path)
    if step > whole:
        with pytest.raises(PalmettoError, match=f"lacks rows before step {step}"):
            log.begin(step)
        assert path.read_text() == text
        return
    log.begin(step)
    log.log({"step": step + 1})
    log.close()
    assert path.read_text() == "".join(lines[:step]) + json.dumps({"step": step + 1}) + "\n"


def test_the_log_begins_where_there_is_no_file(tmp_path: Path) -> None:
    log = JsonLines(tmp_path / "metrics.jsonl")
    log.begin(0)
    log.log({"step": 1})
    log.close()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n'
    with pytest.raises(PalmettoError, match="lacks rows"):
        JsonLines(tmp_path / "nothing.jsonl").begin(1)


@pytest.mark.parametrize("budget", [1, 60, 1000])
def test_heldout_losses_are_those_of_the_plain_pass(corpus: Path, budget: int) -> None:
    """Oracle: windows cut by hand, one forward pass each, log-softmax in float64."""
    parameters = initialise(MODEL, jax.random.key(0))
    tokens = np.fromfile(corpus / "heldout.tokens", "<u2").astype(int)
    measured = HeldoutText(corpus, EOD, budget).measure(parameters, MODEL)

    from hashlib import sha256

    starts = dict(
        zip([name for name, _, _ in DOCUMENTS], np.cumsum([0, *(n for _, n, _ in DOCUMENTS)]), strict=False)
    )
    chosen: list[tuple[str, int, int]] = []
    for name, count, size in sorted(DOCUMENTS, key=lambda row: sha256(row[0].encode()).hexdigest()):
        if not chosen or sum(row[1] for row in chosen) + count <= budget:
            chosen.append((name, count, size))
    text = np.concatenate([tokens[starts[name] : starts[name] + count] for name, count, _ in chosen])
    inputs = [EOD, *text[:-1]]
    nats = []
    for start in range(0, len(text), MODEL.sequence_length):
        window = np.array(inputs[start : start + MODEL.sequence_length], np.int32)[None]
        logits = np.asarray(forward(parameters, jnp.asarray(window), MODEL), np.float64)[0]
        chances = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        nats += [-chances[place, text[start + place]] for place in range(window.shape[1])]
    parts = np.split(np.array(nats), np.cumsum([count for _, count, _ in chosen])[:-1])

    assert measured.tokens == len(text)
    assert measured.bytes.tolist() == [size for _, _, size in chosen]
    np.testing.assert_allclose(measured.nats, [part.sum() for part in parts], rtol=1e-5)
    expected = sum(nats) / math.log(2) / sum(size for _, _, size in chosen)
    assert measured.bits_per_byte == pytest.approx(expected, rel=1e-6)
