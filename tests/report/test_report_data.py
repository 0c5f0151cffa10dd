"""Reading study folders: whole, partial and damaged ones."""

import json
from pathlib import Path

import pytest
from fake_study import HASH, make_study, write

from palmetto.common.errors import PalmettoError
from palmetto.report.data import load_study
from palmetto.report.decode import decode
from palmetto.report.schema import MatchRate, TaskScaling


def test_a_whole_study_is_read_smallest_size_first(tmp_path: Path) -> None:
    study = load_study(make_study(tmp_path / "starter"))
    assert [size.name for size in study.sizes] == ["palm_160k", "palm_800k", "palm_5m"]
    assert study.scaling is not None and len(study.scaling.tasks) == 9
    assert study.sizes[0].metrics is not None and len(study.sizes[0].metrics.steps) == 200
    assert study.sizes[2].items["cloze"].target == "close()"


def test_stages_that_have_not_run_are_absent(tmp_path: Path) -> None:
    write(tmp_path / "study.json", {"format": 1, "palmetto": "0.1.0", "recipe": "starter"})
    study = load_study(tmp_path)
    assert study.sizes == ()
    assert (study.documents, study.corpus, study.scaling, study.contamination) == (None,) * 4


def test_a_folder_that_is_no_study_is_named(tmp_path: Path) -> None:
    with pytest.raises(PalmettoError, match=r"no study\.json"):
        load_study(tmp_path)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("models/palm_5m/summary.json", "{"),
        ("models/palm_5m/metrics.jsonl", '{"step": 1}\n'),
        ("models/palm_5m/results/cloze/0-shot.json", '{"format": 1, "task": "cloze"}'),
        ("models/palm_5m/analyses/memorisation.json", '{"format": 2}'),
        ("analyses/scaling.json", "[]"),
        ("corpus/manifest.json", "[]"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, file: str, text: str) -> None:
    study = make_study(tmp_path / "starter", steps=2)
    (study / file).write_text(text)
    with pytest.raises(PalmettoError, match=str(study / file)):
        load_study(study)


def test_a_field_of_the_wrong_type_is_named(tmp_path: Path) -> None:
    study = make_study(tmp_path / "starter", steps=2)
    path = study / "models/palm_5m/summary.json"
    value = json.loads(path.read_text())
    value["timing"]["seconds"] = "long"
    path.write_text(json.dumps(value))
    with pytest.raises(PalmettoError, match="timing: seconds should be a number and is 'long'"):
        load_study(study)


def test_unknown_fields_are_left_aside_and_whole_numbers_count_as_numbers() -> None:
    rate = decode(MatchRate, {"spans": 4, "matches": 1, "rate": 1, "later": HASH}, "here")
    assert rate.rate == 1.0 and isinstance(rate.rate, float)


def test_pairs_must_have_two_entries() -> None:
    row = {"task": "t", "title": "T", "shots": 0, "preferred_metric": "acc", "scores": [0.1], "ci": [[0.0]]}
    with pytest.raises(PalmettoError, match="list of 2"):
        decode(TaskScaling, row, "here")


def test_true_is_not_a_whole_number() -> None:
    with pytest.raises(PalmettoError, match="whole number"):
        decode(MatchRate, {"spans": True, "matches": 1}, "here")
