import json
import shutil
from contextlib import contextmanager

import pytest
from evaluation_fakes import ByteTokenizer, OracleEngine, RandomEngine

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, read_json_lines
from palmetto.common.progress import Silent
from palmetto.evaluation.config import EvaluationConfig
from palmetto.evaluation.harness import PalmettoLM
from palmetto.evaluation.run import evaluate_model, evaluate_task, samples_path

NAMES = ("cloze", "continuation", "copying")
CONFIG = EvaluationConfig(bootstrap_samples=200)


@pytest.fixture(scope="module")
def oracle(tasks_folder):
    right = [
        row["question"] + row["target"]
        for name in NAMES
        for row in read_json_lines(tasks_folder / f"{name}.test.jsonl")
    ]
    return PalmettoLM(OracleEngine(ByteTokenizer(), right), ByteTokenizer())


def chance_lm(max_length=1024):
    return PalmettoLM(RandomEngine(max_length), ByteTokenizer())


def run(lm, tasks, out, task="continuation", shots=1):
    return evaluate_task(lm, tasks, task, shots, "tiny", CONFIG, out / f"{shots}-shot.json", Silent())


class Counting(Silent):
    """Counts what its bars are told."""

    def __init__(self):
        self.totals, self.done, self.lines = [], 0.0, []

    @contextmanager
    def bar(self, description, total, unit):
        self.totals.append((total, unit))
        outer = self

        class Bar:
            def advance(self, amount: float = 1.0):
                outer.done += amount

            def note(self, text):
                pass

        yield Bar()

    def say(self, text):
        self.lines.append(text)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_knows_the_answers_scores_one(oracle, tasks, tmp_path, name):
    result = run(oracle, tasks, tmp_path, name)
    assert (result["score"], result["ci_low"], result["ci_high"]) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("name", ["continuation", "copying"])
def test_a_model_that_guesses_scores_about_chance(tasks, tmp_path, name):
    result = run(chance_lm(), tasks, tmp_path, name)
    # 60 items at 0.25: standard deviation 0.056
    assert abs(result["score"] - 0.25) < 4 * 0.056
    assert result["ci_low"] < result["score"] < result["ci_high"]


def test_lm_evals_own_evaluation_gives_the_same_score(oracle, tasks_folder):
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(tasks_folder), include_defaults=False)
    results = simple_evaluate(
        oracle, tasks=["palmetto_made"], num_fewshot=2, task_manager=manager, bootstrap_iters=0
    )
    values = results["results"]
    assert (
        values["cloze"]["acc,none"]
        == values["continuation"]["acc_norm,none"]
        == values["copying"]["acc,none"]
        == 1
    )


def test_the_result_file_is_what_was_returned(tasks, tmp_path):
    result = run(chance_lm(), tasks, tmp_path)
    assert read_json(tmp_path / "1-shot.json") == json.loads(json.dumps(result))
    assert result["n_items"] == 60
    assert result["tasks_hash"] == tasks.manifest["hash"]


def test_the_mean_of_the_samples_scores_is_the_score(tasks, tmp_path):
    for name in NAMES:
        result = run(chance_lm(), tasks, tmp_path, name)
        rows = list(read_json_lines(samples_path(tmp_path / "1-shot.json")))
        assert sum(row["score"] for row in rows) / len(rows) == pytest.approx(result["score"])


def test_a_sample_scores_where_its_prediction_is_its_target(tasks, tmp_path):
    for name in NAMES:
        run(chance_lm(), tasks, tmp_path, name)
        for row in read_json_lines(samples_path(tmp_path / "1-shot.json")):
            assert (row["prediction"] == row["target"]) == bool(row["score"])


def test_samples_are_in_the_order_of_the_items(tasks, tasks_folder, tmp_path):
    run(chance_lm(), tasks, tmp_path)
    items = [row["id"] for row in read_json_lines(tasks_folder / "continuation.test.jsonl")]
    assert [row["id"] for row in read_json_lines(samples_path(tmp_path / "1-shot.json"))] == items


def test_two_runs_differ_in_their_timing_alone(tasks, tmp_path):
    one, two = (run(chance_lm(), tasks, tmp_path / name) for name in "ab")
    assert {**one, "timing": 0} == {**two, "timing": 0}
    assert (tmp_path / "a/1-shot.samples.jsonl").read_bytes() == (
        tmp_path / "b/1-shot.samples.jsonl"
    ).read_bytes()


def test_a_model_takes_every_task_with_every_number_of_shots(tasks, tmp_path):
    results = evaluate_model(chance_lm(), tasks, "tiny", CONFIG, tmp_path, Silent())
    assert [(result["task"], result["shots"]) for result in results] == [
        (n, k) for n in NAMES for k in (0, 1, 5)
    ]
    assert (tmp_path / "copying" / "5-shot.samples.jsonl").exists()


def test_one_bar_counts_the_requests(tasks, tmp_path):
    reporter = Counting()
    evaluate_model(chance_lm(), tasks, "tiny", CONFIG, tmp_path, reporter)
    assert reporter.totals == [(3.0 * 60 * (1 + 4 + 4), "requests")]
    assert reporter.done == pytest.approx(3 * 60 * 9)


def test_results_that_exist_are_not_made_again(tasks, tmp_path):
    first = evaluate_model(chance_lm(), tasks, "tiny", CONFIG, tmp_path, Silent())
    (tmp_path / "cloze" / "1-shot.json").unlink()
    lm, reporter = chance_lm(), Counting()
    again = evaluate_model(lm, tasks, "tiny", CONFIG, tmp_path, reporter)
    assert len(lm.engine.seen) == 60
    assert reporter.totals == [(60.0, "requests")]
    assert [result["score"] for result in again] == [result["score"] for result in first]


def test_results_of_other_tasks_are_never_mixed_in(tasks, tmp_path):
    evaluate_model(
        chance_lm(), tasks, "tiny", EvaluationConfig(shots=(0,)), tmp_path, Silent(), names=["cloze"]
    )
    path = tmp_path / "cloze" / "0-shot.json"
    path.write_text(path.read_text().replace(tasks.manifest["hash"], "0" * 64))
    with pytest.raises(PalmettoError, match="tasks_hash"):
        evaluate_model(
            chance_lm(), tasks, "tiny", EvaluationConfig(shots=(0,)), tmp_path, Silent(), names=["cloze"]
        )


def test_truncated_prompts_are_counted_and_said_once(tasks, tmp_path):
    reporter = Counting()
    results = evaluate_model(chance_lm(300), tasks, "tiny", CONFIG, tmp_path, reporter)
    assert sum(result["truncated_prompts"] for result in results) > 0
    assert len(reporter.lines) == 1


def test_prompts_made_for_the_model_are_never_truncated(tasks, tmp_path):
    results = evaluate_model(chance_lm(1024), tasks, "tiny", CONFIG, tmp_path, Silent())
    assert all(result["truncated_prompts"] == 0 for result in results)


def test_another_lm_eval_model_can_take_the_tasks(tasks, tmp_path):
    from lm_eval.api.registry import get_model

    result = run(get_model("dummy")(), tasks, tmp_path)
    assert result["truncated_prompts"] is None
    assert 0 <= result["score"] <= 1


def test_a_folder_may_be_given_for_loaded_tasks(tasks_folder, tmp_path):
    shutil.copytree(tasks_folder, tmp_path / "tasks")
    assert run(chance_lm(), tmp_path / "tasks", tmp_path / "results")["n_items"] == 60
