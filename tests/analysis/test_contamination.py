"""The contamination rule of PaLM section 8, on planted items."""

import random

import pytest
from analysis_fakes import write_result

from palmetto.analysis.config import ContaminationConfig
from palmetto.analysis.contamination import contamination, find_overlaps
from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, write_json_lines
from palmetto.common.progress import Silent


def words(generator, count):
    return ["".join(generator.choices("abcdefghij", k=6)) for _ in range(count)]


def overlaps(items, texts, **settings):
    return find_overlaps(items, texts, ContaminationConfig(**settings), Silent())


CHANGES = {
    "as it is": lambda text: text,
    "case": str.upper,
    "white space": lambda text: text.replace(" ", " \n\t"),
    "punctuation": lambda text: text.replace(" ", ", ", 5).replace(" ", " -- ") + "?!",
    "full-width letters": lambda text: "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in text),
}


@pytest.mark.parametrize("change", CHANGES)
def test_planted_items_are_found_and_no_others(change):
    generator = random.Random(3)
    items = [{"question": " ".join(words(generator, 20))} for _ in range(60)]
    planted = set(range(0, 60, 3))
    texts = []
    for number in range(60):
        before, after = " ".join(words(generator, 30)), " ".join(words(generator, 30))
        middle = CHANGES[change](items[number]["question"]) if number in planted else ""
        texts.append(f"{before} {middle} {after}")
    found = {n for n, overlap in enumerate(overlaps(items, texts)) if not overlap.clean}
    recall, precision = len(found & planted) / len(planted), len(found & planted) / len(found)
    assert (recall, precision) == (1.0, 1.0)


@pytest.mark.parametrize(("seen_units", "contaminated"), [(14, True), (13, False)])
def test_seventy_percent_of_the_ngrams_is_the_limit(seen_units, contaminated):
    units = words(random.Random(1), 17)  # 10 8-grams; the first 14 units hold 7 of them
    (overlap,) = overlaps([{"question": " ".join(units)}], [" ".join(units[:seen_units])])
    assert bool(overlap.contaminated_parts) is contaminated


def test_each_part_is_tested_by_itself():
    generator = random.Random(2)
    question, target = " ".join(words(generator, 40)), " ".join(words(generator, 9))
    (overlap,) = overlaps([{"question": question, "target": target}], [target])
    assert overlap.shares == {"question": 0.0, "target": 1.0}
    assert overlap.contaminated_parts == ("target",)


def test_ngrams_may_be_seen_in_different_documents():
    units = words(random.Random(4), 9)
    (overlap,) = overlaps([{"question": " ".join(units)}], [" ".join(units[:8]), " ".join(units[1:])])
    assert overlap.shares == {"question": 1.0}


def test_an_item_under_eight_units_is_too_short_and_neither_clean_nor_contaminated():
    (overlap,) = overlaps([{"question": "one two three four five six seven", "target": "eight"}], ["one two"])
    assert overlap.too_short
    assert not overlap.clean
    assert not overlap.contaminated_parts


def test_a_short_target_leaves_the_question_to_decide():
    (overlap,) = overlaps([{"question": "a b c d e f g h i", "target": "j"}], ["j"])
    assert overlap.clean
    assert overlap.shares["target"] is None


def study(tmp_path):
    """Return a task of one contaminated, two clean and one short item, the training texts, and a model."""
    generator = random.Random(5)
    questions = [" ".join(words(generator, 12)) for _ in range(3)] + ["too short"]
    rows = [{"id": f"quiz-{n}", "question": question, "target": "x"} for n, question in enumerate(questions)]
    write_json_lines(tmp_path / "tasks" / "quiz.test.jsonl", rows)
    write_result(tmp_path / "small", "quiz", 1, {"quiz-0": 1, "quiz-1": 0, "quiz-2": 1, "quiz-3": 0})
    return [questions[0].upper()]


def run(tmp_path, texts, tasks=("quiz",)):
    return contamination(
        tmp_path / "tasks",
        list(tasks),
        texts,
        [("small", tmp_path / "small")],
        config=ContaminationConfig(),
        out=tmp_path / "contamination.json",
        reporter=Silent(),
    )


def test_the_file_gives_counts_and_full_against_clean_score(tmp_path):
    report = run(tmp_path, study(tmp_path))
    assert report == read_json(tmp_path / "contamination.json")
    assert report["rule"] == "70 % of 8-grams"
    assert report["tasks"] == [
        {
            "task": "quiz",
            "items": 4,
            "too_short": 1,
            "contaminated": 1,
            "clean": 2,
            "clean_share": 2 / 3,
            "parts": {"question": 1, "target": 0},
            "by_model": [{"model": "small", "shots": 1, "full": 0.5, "clean": 0.5, "delta": 0.0}],
        }
    ]


def test_without_a_clean_item_the_clean_score_is_null(tmp_path):
    study(tmp_path)
    questions = tmp_path / "tasks" / "quiz.test.jsonl"
    (row,) = run(tmp_path, [questions.read_text()])["tasks"]
    assert row["clean"] == 0
    assert row["by_model"] == [{"model": "small", "shots": 1, "full": 0.5, "clean": None, "delta": None}]


def test_an_evaluated_item_that_the_task_does_not_hold_is_an_error(tmp_path):
    texts = study(tmp_path)
    write_result(tmp_path / "small", "quiz", 0, {"quiz-9": 1})
    with pytest.raises(PalmettoError, match=r"0-shot\.json.*quiz-9"):
        run(tmp_path, texts)


def test_an_item_without_text_is_an_error(tmp_path):
    write_json_lines(tmp_path / "tasks" / "quiz.test.jsonl", [{"id": "a", "label": 3}])
    with pytest.raises(PalmettoError, match=r"quiz\.test\.jsonl"):
        run(tmp_path, [])
