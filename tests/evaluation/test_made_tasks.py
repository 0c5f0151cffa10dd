import json
import tempfile
from pathlib import Path

import pytest
from evaluation_fakes import Text, prose
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json_lines
from palmetto.common.progress import Silent
from palmetto.evaluation.config import MadeTasksConfig
from palmetto.evaluation.made_tasks import make_tasks

NAMES = ("cloze", "continuation", "copying")


def utf8(text):
    return len(text.encode())


def make(documents, out, length=1024, **changes):
    out.mkdir(exist_ok=True)
    config = MadeTasksConfig(**{"n_items": 60, "max_request_tokens": length, **changes})
    return make_tasks(documents, config, length, utf8, out, Silent())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "tasks"
    return out, make(prose(), out)


def rows(folder, name, split="test"):
    return list(read_json_lines(folder / f"{name}.{split}.jsonl"))


def test_every_task_has_the_items_asked_for(made):
    out, manifest = made
    for name in NAMES:
        assert len(rows(out, name)) == manifest["tasks"][name]["n_items"] == 60


def test_exemplars_and_items_come_from_different_documents(made):
    out, _ = made
    shown = {row["document"] for name in NAMES for row in rows(out, name, "fewshot")}
    asked = {row["document"] for name in NAMES for row in rows(out, name)}
    assert shown
    assert not shown & asked


def test_items_are_spread_over_the_documents(made):
    out, manifest = made
    for name in NAMES:
        documents = [row["document"] for row in rows(out, name)]
        counts = [documents.count(document) for document in set(documents)]
        assert max(counts) - min(counts) <= 1
        assert manifest["tasks"][name]["documents"] == len(counts)


def test_items_are_unique(made):
    for name in NAMES:
        keys = [(row["question"], row["target"]) for row in rows(made[0], name)]
        assert len(set(keys)) == len(keys)


def test_the_longest_request_of_the_manifest_is_the_longest_there_is(made):
    out, manifest = made
    for name in NAMES:
        exemplars = [row["question"] + row["target"] + "\n\n" for row in rows(out, name, "fewshot")]
        for shots, longest in manifest["tasks"][name]["longest_tokens"].items():
            prefix = "".join(exemplars[: int(shots)])
            found = max(
                utf8(prefix + row["question"] + choice)
                for row in rows(out, name)
                for choice in row.get("choices", [row["target"]])
            )
            assert longest == found <= 1024


def test_chance_of_the_cloze_is_the_share_of_its_most_frequent_answer(made):
    out, manifest = made
    answers = [row["target"].strip() for row in rows(out, "cloze")]
    assert manifest["tasks"]["cloze"]["chance"] == max(map(answers.count, answers)) / len(answers)
    assert manifest["tasks"]["continuation"]["chance"] == 0.25


def test_equal_input_makes_equal_files(made, tmp_path):
    out, manifest = made
    again = make(reversed(prose()), tmp_path / "again")
    assert again["hash"] == manifest["hash"]
    assert (tmp_path / "again" / "manifest.json").read_bytes() == (out / "manifest.json").read_bytes()


def test_another_seed_makes_other_tasks(made, tmp_path):
    assert make(prose(), tmp_path / "other", seed=1)["hash"] != made[1]["hash"]


def test_little_text_gives_fewer_items_and_says_so(tmp_path):
    class Heard(Silent):
        def __init__(self):
            self.lines = []

        def say(self, text):
            self.lines.append(text)

    heard, config = Heard(), MadeTasksConfig(n_items=5000, max_request_tokens=1024)
    make_tasks(prose(12, 30), config, 1024, utf8, tmp_path, heard)
    assert any("all that the held-out text gives" in line for line in heard.lines)


def test_too_little_text_is_an_error_that_tells_how_much_there_is(tmp_path):
    with pytest.raises(PalmettoError, match=r"8 documents, [\d,]+ characters.*give more text"):
        make(prose(8, 15), tmp_path / "tasks", n_exemplars=1, min_items=500)


@pytest.mark.parametrize("documents", [[], [Text("a", "one short text")], prose(1, 300)])
def test_text_that_gives_no_separate_exemplars_is_an_error(tmp_path, documents):
    with pytest.raises(PalmettoError, match="exemplars"):
        make(documents, tmp_path / "tasks")


def test_two_documents_are_enough(tmp_path):
    make(prose(2, 300), tmp_path / "tasks")


def test_no_exemplars_may_be_asked_for(tmp_path):
    manifest = make(prose(4, 80), tmp_path / "tasks", n_exemplars=0)
    assert manifest["tasks"]["cloze"]["n_exemplars"] == 0


def test_a_sequence_too_short_for_exemplars_is_an_error(tmp_path):
    with pytest.raises(PalmettoError, match="longer sequence length"):
        make(prose(), tmp_path / "tasks", length=64)


def test_of_much_text_a_seeded_sample_is_used(tmp_path):
    manifest = make(prose(), tmp_path / "tasks", max_heldout_characters=20_000, n_items=40)
    assert manifest["heldout"]["documents"] == 12
    assert manifest["heldout"]["characters"] <= 20_000


def test_shares_that_leave_no_room_are_an_error(tmp_path):
    with pytest.raises(PalmettoError, match="exemplars_share"):
        make(prose(), tmp_path / "tasks", question_share=0.6)


def test_text_in_a_script_without_spaces_makes_all_tasks(tmp_path):
    hanzi = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    documents = [
        Text(str(n), "。\n".join(hanzi[n * 7 + i : n * 7 + i + 20] for i in range(0, 200, 3)))
        for n in range(8)
    ]
    manifest = make(documents, tmp_path / "tasks", length=2048)
    assert all(manifest["tasks"][name]["n_items"] >= 30 for name in NAMES)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=400), max_size=8),
    length=st.integers(16, 400),
)
def test_any_unicode_text_makes_tasks_or_a_clear_error(texts, length):
    documents = [Text(str(number), text * 3) for number, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        config = MadeTasksConfig(n_items=20, min_items=1, n_exemplars=1)
        try:
            make_tasks(documents, config, length, utf8, out, Silent())
        except PalmettoError:
            return
        for name in NAMES:
            for row in rows(out, name):
                text = next(document.text for document in documents if document.id == row["document"])
                assert name == "copying" or row["question"] + row["target"] in text
                assert json.loads(json.dumps(row)) == row
