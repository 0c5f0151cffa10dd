import pytest
from evaluation_fakes import ByteTokenizer, RandomEngine

from palmetto.common.files import read_json_lines
from palmetto.common.progress import Silent
from palmetto.evaluation.config import EvaluationConfig
from palmetto.evaluation.harness import PalmettoLM
from palmetto.evaluation.in_loop import InLoopFewShot
from palmetto.evaluation.run import evaluate_task


def test_its_scores_are_those_of_the_whole_evaluation_where_all_items_are_taken(tasks, tmp_path):
    found = InLoopFewShot(tasks, ByteTokenizer(), shots=1, n_items=60)(RandomEngine())
    lm = PalmettoLM(RandomEngine(), ByteTokenizer())
    for name, key in (
        ("cloze", "cloze_acc"),
        ("continuation", "continuation_acc_norm"),
        ("copying", "copying_acc"),
    ):
        whole = evaluate_task(
            lm, tasks, name, 1, "tiny", EvaluationConfig(), tmp_path / f"{name}.json", Silent()
        )
        assert found[key] == pytest.approx(whole["score"])


def test_its_requests_are_among_those_of_the_whole_evaluation(tasks, tmp_path):
    small, lm = RandomEngine(), PalmettoLM(RandomEngine(), ByteTokenizer())
    InLoopFewShot(tasks, ByteTokenizer(), shots=1, n_items=8, names=("continuation",))(small)
    evaluate_task(
        lm, tasks, "continuation", 1, "tiny", EvaluationConfig(), tmp_path / "1-shot.json", Silent()
    )
    assert len(small.seen) == 32
    assert set(small.seen) <= set(lm.engine.seen)


def test_a_subset_keeps_each_answer_with_its_item(tasks, tmp_path):
    result = InLoopFewShot(tasks, ByteTokenizer(), shots=0, n_items=1, names=("copying",))(RandomEngine())
    assert result["copying_acc"] in (0.0, 1.0)
    lm = PalmettoLM(RandomEngine(), ByteTokenizer())
    evaluate_task(lm, tasks, "copying", 0, "tiny", EvaluationConfig(), tmp_path / "0-shot.json", Silent())
    engine = RandomEngine()
    InLoopFewShot(tasks, ByteTokenizer(), shots=0, n_items=1, names=("copying",))(engine)
    question = ByteTokenizer().decode(engine.seen[0].context)
    rows = read_json_lines(tmp_path / "0-shot.samples.jsonl")
    assert result["copying_acc"] == next(row["score"] for row in rows if row["question"] == question)


def test_it_is_the_same_at_every_call(tasks):
    few_shot = InLoopFewShot(tasks, ByteTokenizer(), n_items=16)
    assert few_shot(RandomEngine()) == few_shot(RandomEngine())


def test_another_seed_takes_other_items(tasks):
    engines = RandomEngine(), RandomEngine()
    for seed, engine in enumerate(engines):
        InLoopFewShot(tasks, ByteTokenizer(), n_items=8, names=("cloze",), seed=seed)(engine)
    assert engines[0].seen != engines[1].seen
