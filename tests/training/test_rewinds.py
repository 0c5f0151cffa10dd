"""The remedy for loss spikes in the loop: seen, gone back, left out, recorded; and interrupted anywhere in between."""

import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, read_json_lines, write_json_lines
from palmetto.common.progress import Silent
from palmetto.model.config import ModelConfig
from palmetto.model.spec import Parameters
from palmetto.sharding import make_mesh
from palmetto.training import checkpoints as checkpoints_file
from palmetto.training import engine, loop, opening, rewinds
from palmetto.training.batches import Batches
from palmetto.training.checkpoints import Checkpoints, committed_steps
from palmetto.training.config import TrainingConfig
from palmetto.training.data import TrainingData, open_batches
from palmetto.training.loop import Trained, train
from palmetto.training.optimizer import OptimizerConfig
from palmetto.training.schedules import BatchSize, LearningRate
from palmetto.training.signals import StoppedError
from palmetto.training.spikes import SpikeConfig
from palmetto.training.state import initial_state, make_train_step, state_shardings
from palmetto.training.trackers import JsonLines

MODEL = ModelConfig("tiny", n_layers=1, d_model=8, n_heads=1, head_dim=8, vocab_size=30, sequence_length=16)
RUN = TrainingConfig(
    steps=26,
    batch_size=BatchSize((4,)),
    optimizer=OptimizerConfig(learning_rate=LearningRate(peak=1e-1, plateau_steps=100)),
    checkpoint_every=5,
    evaluate_every=3,
    spikes=SpikeConfig(rewind=4, skip=11, threshold=4.0, window=8, patience=2),
)
PLANT = range(16, 19)
# Batch 16 is read by step 17 and the second high step is 18; four updates before step 17 were made after update 12,
# and the newest checkpoint before that is of step 10.
REWIND = {"first_batch": 10, "end_batch": 21, "to_step": 10}


@dataclass(frozen=True)
class Planted:
    """Records that mostly hold one token, but for some of random tokens."""

    random: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return 400

    def __getitem__(self, index: int) -> np.ndarray:
        rng = np.random.default_rng(index)
        tokens = rng.integers(0, MODEL.vocab_size, MODEL.sequence_length + 1)
        if index not in self.random:
            tokens[rng.random(len(tokens)) < 0.8] = 7
        return tokens.astype(np.uint16)


def planted(*ranges: range) -> TrainingData:
    """Data whose batches of these indices are random, and no others."""
    order = Batches([Planted()], RUN.batch_size, seed=RUN.seed)
    found = [order.record_ids(index)[:, 1] for indices in ranges for index in indices]
    facts = {"tokenizer_sha256": "t", "corpus_hash": "c"}
    return TrainingData(
        (Planted(frozenset(np.concatenate(found).tolist())),), (1,), MODEL.sequence_length, facts
    )


DATA = planted(PLANT)


def look(parameters: Parameters) -> dict[str, Any]:
    return {"norm_of_embedding": float(np.square(np.asarray(parameters.embedding, np.float64)).sum())}


Evaluate = Callable[[Parameters], dict[str, Any]]


def run(
    out: Path, evaluate: Evaluate = look, training: TrainingConfig = RUN, data: TrainingData = DATA
) -> Trained:
    return train(MODEL, training, data, out, evaluate, Silent())


@pytest.fixture(scope="module", autouse=True)
def compiled_once() -> Iterator[None]:
    """All runs of this file with one optimizer share their compiled step and their first draw."""

    @cache
    def drawn(*arguments: Any) -> Any:
        return jax.tree.map(np.asarray, initial_state(*arguments))

    def draw(config: ModelConfig, optimizer: OptimizerConfig, mesh: Any, seed: int) -> Any:
        return jax.device_put(drawn(config, optimizer, mesh, seed), state_shardings(config, mesh))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "make_train_step", cache(make_train_step))
        patch.setattr(opening, "initial_state", draw)
        yield


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trained]:
    """The undisturbed run; nothing may change its folder."""
    out = tmp_path_factory.mktemp("straight") / "tiny"
    return out, run(out)


def logged(path: Path) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "timing"} for row in read_json_lines(path)]


def assert_same(out: Path, trained: Trained, straight: tuple[Path, Trained]) -> None:
    """Bits of the weights, the log, the record, the steps given up, and which checkpoints stay."""
    for one, other in zip(
        jax.tree.leaves(trained.parameters), jax.tree.leaves(straight[1].parameters), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    before = straight[0]
    assert logged(out / "metrics.jsonl") == logged(before / "metrics.jsonl")
    assert read_json(out / "skipped_batches.json") == read_json(before / "skipped_batches.json")
    names = sorted(path.name for path in (before / "rewound").iterdir())
    assert sorted(path.name for path in (out / "rewound").iterdir()) == names
    for name in names:
        assert logged(out / "rewound" / name) == logged(before / "rewound" / name)


def test_a_planted_spike_is_recorded_with_what_it_left_out(straight: tuple[Path, Trained]) -> None:
    (entry,) = read_json(straight[0] / "skipped_batches.json")
    assert {name: entry[name] for name in REWIND} == REWIND
    spike = entry["spike"]
    assert (spike["first_step"], spike["seen_step"]) == (17, 18)
    assert (spike["first_batch"], spike["seen_batch"]) == (16, 17)
    assert spike["signal"] == "loss"
    assert spike["value"] > 2 * spike["median"]
    assert set(PLANT) <= set(range(entry["first_batch"], entry["end_batch"]))


def test_the_batches_read_afterwards_are_those_after_the_range(straight: tuple[Path, Trained]) -> None:
    """Updates 0 .. 9 read batches of their own number, the others eleven further on."""
    rows = logged(straight[0] / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, 27))
    assert [row["batch"] for row in rows] == [*range(10), *range(21, 37)]
    assert [row["tokens"] for row in rows] == [64 * step for step in range(1, 27)]
    assert straight[1].facts["batches"] == {"first": 0, "count": 26, "skipped": 11}


def test_the_metrics_name_the_range_where_it_was_left_out(straight: tuple[Path, Trained]) -> None:
    named = {row["step"]: row["skipped"] for row in logged(straight[0] / "metrics.jsonl") if "skipped" in row}
    assert named == {11: {"rewind": 1, "first_batch": 10, "end_batch": 21}}


@pytest.mark.parametrize(
    ("to_steps", "step", "rewind"),
    [
        ((10,), 11, 1),
        ((10,), 12, None),
        ((10, 10), 11, 2),
        ((10, 15), 11, 1),
        ((15, 10), 16, None),
        ((15, 10), 11, 2),
    ],
)
def test_a_row_names_the_rewind_that_the_way_to_it_took(
    tmp_path: Path, to_steps: tuple[int, ...], step: int, rewind: int | None
) -> None:
    """A rewind to 15 and then one to 10: update 16 is made anew, and nothing is left out before it."""
    record = rewinds.Rewinds(tmp_path)
    record.entries = [{"to_step": to, "first_batch": 0, "end_batch": 1} for to in to_steps]
    found = record.before(step)
    assert (found and found["rewind"]) == rewind


def test_the_steps_given_up_are_kept_aside(straight: tuple[Path, Trained]) -> None:
    rows = logged(straight[0] / "rewound" / "1.jsonl")
    assert [(row["step"], row["batch"]) for row in rows] == [(step, step - 1) for step in range(11, 19)]
    assert rows[-1]["loss"] == read_json(straight[0] / "skipped_batches.json")[0]["spike"]["value"]


def test_the_weights_are_those_of_a_run_that_never_met_the_batches(straight: tuple[Path, Trained]) -> None:
    """Oracle: the train step alone, over the batches 0 .. 9 and 21 .. 36 in a row."""
    mesh = make_mesh(RUN.mesh)
    step = make_train_step(MODEL, RUN.optimizer, mesh, RUN.execution)
    state, order = initial_state(MODEL, RUN.optimizer, mesh, RUN.seed), open_batches(RUN, DATA)
    for index in (*range(10), *range(21, 37)):
        state, _ = step(state, order[index])
    for one, other in zip(
        jax.tree.leaves(state.parameters), jax.tree.leaves(straight[1].parameters), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_one_odd_batch_is_trained_on(tmp_path: Path) -> None:
    trained = run(tmp_path, data=planted(range(16, 17)))
    assert read_json(tmp_path / "skipped_batches.json") == []
    assert not (tmp_path / "rewound").exists()
    assert trained.facts["batches"]["skipped"] == 0


def test_without_the_remedy_nothing_is_left_out(tmp_path: Path) -> None:
    off = replace(RUN, spikes=replace(RUN.spikes, enabled=False))
    run(tmp_path, training=off)
    rows = logged(tmp_path / "metrics.jsonl")
    assert [row["batch"] for row in rows] == list(range(26))
    assert min(rows[index]["loss"] for index in PLANT) > 1.5 * rows[PLANT.start - 1]["loss"]
    assert read_json(tmp_path / "skipped_batches.json") == []


# A run that is interrupted ends with the same bits, wherever it was.


class Interrupted(BaseException):
    """Not an error: what a killed run looks like from inside."""


def evaluations(straight: Path) -> int:
    """How often the undisturbed run looked: in the steps that stayed and in those given up."""
    rows = [*logged(straight / "metrics.jsonl"), *logged(straight / "rewound" / "1.jsonl")]
    return sum("norm_of_embedding" in row for row in rows)


@pytest.mark.parametrize(
    ("allowed", "stop"),
    [*((count, "killed") for count in range(11)), *((count, "asked") for count in range(2, 9))],
)
def test_interrupted_at_any_evaluation_it_goes_on_to_the_same_bits(
    straight: tuple[Path, Trained], tmp_path: Path, allowed: int, stop: str
) -> None:
    """Either an exception leaves everything as it is, or SIGTERM asks for a checkpoint off the schedule."""
    assert evaluations(straight[0]) == 11
    left = [allowed]

    def evaluate(parameters: Parameters) -> dict[str, Any]:
        if left[0] == 0 and stop == "killed":
            raise Interrupted
        if left[0] == 0:
            signal.raise_signal(signal.SIGTERM)
        left[0] -= 1
        return look(parameters)

    with pytest.raises(Interrupted if stop == "killed" else StoppedError):
        run(tmp_path / "tiny", evaluate)
    assert_same(tmp_path / "tiny", run(tmp_path / "tiny"), straight)


def at_call(number: int, of: Callable) -> Callable:
    """Return `of`, interrupted before its call of that number (from 1)."""
    calls = [0]

    def instead(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            raise Interrupted
        return of(*arguments, **named)

    return instead


# The moments of a rewind in their order: what is interrupted, and at which of its calls in a run's first process.
MOMENTS: dict[str, tuple[Any, str, int]] = {
    "before the steps given up are written": (rewinds, "write_json_lines", 1),
    "between them and the entry": (rewinds, "write_json", 2),
    "between the entry and dropping checkpoints": (Checkpoints, "drop", 2),
    "while checkpoints are dropped": (checkpoints_file.shutil, "rmtree", 3),
    "between dropping and restoring": (loop, "restore_or_start", 2),
    "between restoring and cutting the log": (JsonLines, "begin", 2),
    "at the first step afterwards": (loop, "read_ahead", 2),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_interrupted_within_the_rewind_it_goes_on_to_the_same_bits(
    straight: tuple[Path, Trained], tmp_path: Path, moment: str
) -> None:
    owner, name, number = MOMENTS[moment]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, at_call(number, vars(owner)[name]))
        with pytest.raises(Interrupted):
            run(tmp_path / "tiny")
    reached = list(MOMENTS).index(moment)
    entries = read_json(tmp_path / "tiny" / "skipped_batches.json")
    assert len(entries) == (1 if reached >= 2 else 0)
    assert (tmp_path / "tiny" / "rewound").exists() == (reached >= 1)
    assert_same(tmp_path / "tiny", run(tmp_path / "tiny"), straight)


def test_interrupted_again_and_again_it_goes_on_to_the_same_bits(
    straight: tuple[Path, Trained], tmp_path: Path
) -> None:
    """Every moment of the rewind in one run, one process after the other."""
    for owner, name, number in MOMENTS.values():
        with pytest.MonkeyPatch.context() as patch:
            # Where an earlier process came further, this moment does not come again.
            patch.setattr(owner, name, at_call(number, vars(owner)[name]))
            try:
                run(tmp_path / "tiny")
            except Interrupted:
                continue
    assert_same(tmp_path / "tiny", run(tmp_path / "tiny"), straight)


# More than one rewind, and the end of patience.


def test_a_second_spike_right_after_the_first_rewind_goes_back_to_the_same_checkpoint(tmp_path: Path) -> None:
    """Batch 21 is what update 10 reads after the first rewind. Its own target would be step 5, and the next one's the
    start; instead the range of the first rewind is made longer by eleven batches."""
    run(tmp_path, data=planted(PLANT, range(21, 24)))
    first, second = read_json(tmp_path / "skipped_batches.json")
    assert {name: first[name] for name in REWIND} == REWIND
    assert (second["first_batch"], second["end_batch"], second["to_step"]) == (21, 32, 10)
    assert (second["spike"]["first_step"], second["spike"]["first_batch"]) == (11, 21)
    assert [row["batch"] for row in logged(tmp_path / "metrics.jsonl")] == [*range(10), *range(32, 48)]
    assert [row["batch"] for row in logged(tmp_path / "rewound" / "2.jsonl")] == [21, 22]


def test_a_later_spike_has_a_rewind_of_its_own(tmp_path: Path) -> None:
    """After the first rewind update 20 reads batch 31; four updates before it is 16, so step 15, which reads 26."""
    run(tmp_path, data=planted(PLANT, range(31, 34)))
    first, second = read_json(tmp_path / "skipped_batches.json")
    assert {name: first[name] for name in REWIND} == REWIND
    assert (second["first_batch"], second["end_batch"], second["to_step"]) == (26, 37, 15)
    read = [row["batch"] for row in logged(tmp_path / "metrics.jsonl")]
    assert read == [*range(10), *range(21, 26), *range(37, 48)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_not_finite_is_answered_by_rewinds_and_then_by_an_error(tmp_path: Path) -> None:
    """A learning rate so wild that every way ends in NaN."""
    wild = replace(
        RUN,
        optimizer=OptimizerConfig(
            learning_rate=LearningRate(peak=1e30, plateau_steps=3), weight_decay_exponent=1.0
        ),
        spikes=replace(RUN.spikes, max_rewinds=2),
    )
    said = r"begins loss spike number 3 \((loss|gradient norm) (nan|inf)\), and training.spikes.max_rewinds allows 2"
    for _ in range(2):  # The command run again says the same.
        with pytest.raises(PalmettoError, match=said):
            run(tmp_path, training=wild)
        entries = read_json(tmp_path / "skipped_batches.json")
        assert [(entry["to_step"], entry["first_batch"], entry["end_batch"]) for entry in entries] == [
            (0, 0, 11),
            (0, 11, 22),
        ]
        assert entries[0]["spike"]["value"] in ("nan", "inf")


def test_the_end_of_patience_names_the_spike_and_keeps_the_checkpoints(tmp_path: Path) -> None:
    none = replace(RUN, spikes=replace(RUN.spikes, max_rewinds=0))
    with pytest.raises(
        PalmettoError, match=r"tiny: step 17 begins loss spike number 1 .*earlier checkpoints are"
    ):
        run(tmp_path, training=none)
    assert committed_steps(tmp_path / "checkpoints") == [5, 10, 15]
    assert not (tmp_path / "rewound").exists()


def test_a_lost_checkpoint_is_told_and_an_older_one_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of step 10 is damaged when the spike is seen: batches 5 .. 9 are read again, then the range is left out."""
    said: list[str] = []

    class Telling(Silent):
        def say(self, text: str) -> None:
            said.append(text)

    def damage(path: Path, rows: Any) -> None:
        shutil.rmtree(tmp_path / "checkpoints" / "00000010" / "state")
        write_json_lines(path, rows)

    monkeypatch.setattr(rewinds, "write_json_lines", damage)
    train(MODEL, RUN, DATA, tmp_path, look, Telling())
    assert any("00000010" in text and "going back to the checkpoint before it" in text for text in said)
    rows = logged(tmp_path / "metrics.jsonl")
    assert [row["batch"] for row in rows] == [*range(10), *range(21, 37)]
