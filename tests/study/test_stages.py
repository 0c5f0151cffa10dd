"""Stages: skip what stands, go on with what does not, refuse what was made from something else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from palmetto.common.errors import PalmettoError, StageConflictError
from palmetto.common.files import read_json, write_json
from palmetto.study.stages import RECORD, Ledger, Stage, locked, move_aside, run_stage, without_timing

HERE = {"platform": "cpu", "threads": 2}


class Worker:
    """Makes one file a stage and remembers which stages it worked for."""

    def __init__(self) -> None:
        self.worked: list[str] = []
        self.said: list[str] = []

    def stage(self, name: str, *after: str, atomic: bool = True, format: int = 1, **fields: Any) -> Stage:
        def run(out: Path) -> dict[str, Any]:
            self.worked.append(name)
            (out / "made.txt").write_text(f"{name} {fields}")
            return {"made": fields, "timing": {"seconds": len(self.worked)}}

        return Stage(name, name, format, fields, after, run, atomic)

    def run(self, study: Path, *stages: Stage, environment: dict[str, Any] = HERE) -> list[bool]:
        ledger = Ledger()
        return [run_stage(study, stage, ledger, self.said.append, environment) for stage in stages]


@pytest.fixture
def worker() -> Worker:
    return Worker()


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("atomic", [True, False])
def test_a_finished_stage_is_not_made_again(worker: Worker, tmp_path: Path, atomic: bool) -> None:
    stage = worker.stage("text", atomic=atomic, seed=0)
    assert worker.run(tmp_path, stage) == [True]
    before = snapshot(tmp_path)
    assert worker.run(tmp_path, stage) == [False]
    assert worker.worked == ["text"]
    assert snapshot(tmp_path) == before


def test_a_changed_field_is_named_with_both_values_and_nothing_is_touched(
    worker: Worker, tmp_path: Path
) -> None:
    worker.run(tmp_path, worker.stage("text", seed=0, share=0.05))
    before = snapshot(tmp_path)
    with pytest.raises(StageConflictError) as caught:
        worker.run(tmp_path, worker.stage("text", seed=1, share=0.05))
    message = str(caught.value)
    assert "seed was 0 and is 1" in message
    assert "share" not in message
    assert "--redo text" in message
    assert snapshot(tmp_path) == before


def test_a_changed_stage_before_is_named(worker: Worker, tmp_path: Path) -> None:
    worker.run(tmp_path, worker.stage("text", seed=0), worker.stage("words", "text"))
    (tmp_path / "text").rename(tmp_path / "elsewhere")
    with pytest.raises(StageConflictError, match="what stage text made"):
        worker.run(tmp_path, worker.stage("text", seed=1), worker.stage("words", "text"))


def test_only_time_may_differ_between_equal_makings(worker: Worker, tmp_path: Path) -> None:
    stages = worker.stage("text", seed=0), worker.stage("words", "text")
    worker.run(tmp_path, *stages)
    (tmp_path / "text").rename(tmp_path / "elsewhere")
    assert worker.run(tmp_path, *stages) == [True, False]


def test_a_new_format_is_a_conflict(worker: Worker, tmp_path: Path) -> None:
    worker.run(tmp_path, worker.stage("text"))
    with pytest.raises(StageConflictError, match=r"format of this stage \(1 -> 2\)"):
        worker.run(tmp_path, worker.stage("text", format=2))


@pytest.mark.parametrize("atomic", [True, False])
def test_an_interrupted_stage_is_made_to_its_end(worker: Worker, tmp_path: Path, atomic: bool) -> None:
    whole = worker.stage("text", atomic=atomic, seed=0)

    def fail(out: Path) -> dict[str, Any]:
        (out / "half.txt").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        worker.run(tmp_path, replace(whole, run=fail))
    assert (tmp_path / "text").exists() is not atomic
    assert worker.run(tmp_path, whole, whole) == [True, False]
    # What a resuming stage had made is still there; a stage that appears whole starts from nothing.
    assert (tmp_path / "text" / "half.txt").exists() is not atomic
    assert read_json(tmp_path / "text" / RECORD)["finished"] is True


def test_an_interrupted_stage_refuses_other_fields(worker: Worker, tmp_path: Path) -> None:
    def fail(out: Path) -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        worker.run(tmp_path, replace(worker.stage("text", atomic=False, seed=0), run=fail))
    with pytest.raises(StageConflictError, match="seed was 0 and is 1"):
        worker.run(tmp_path, worker.stage("text", atomic=False, seed=1))


def test_time_of_both_parts_is_counted(worker: Worker, tmp_path: Path) -> None:
    stage = worker.stage("text", atomic=False)
    worker.run(tmp_path, stage)
    record = read_json(tmp_path / "text" / RECORD)
    write_json(tmp_path / "text" / RECORD, {**record, "finished": False, "timing": {"seconds": 1000.0}})
    worker.run(tmp_path, stage)
    assert read_json(tmp_path / "text" / RECORD)["timing"]["seconds"] >= 1000


def test_going_on_elsewhere_is_said(worker: Worker, tmp_path: Path) -> None:
    stage = worker.stage("text", atomic=False)
    worker.run(tmp_path, stage)
    record = read_json(tmp_path / "text" / RECORD)
    write_json(tmp_path / "text" / RECORD, {**record, "finished": False})
    worker.run(tmp_path, stage, environment={**HERE, "threads": 8})
    assert "threads 2 -> 8" in worker.said[0]


def test_a_record_cut_off_while_it_was_written_does_not_stop_the_next_run(
    worker: Worker, tmp_path: Path
) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / f".{RECORD}.partial").write_text("{")
    assert worker.run(tmp_path, worker.stage("text", atomic=False)) == [True]


@pytest.mark.parametrize("atomic", [True, False])
def test_a_folder_of_somebody_else_is_left_alone(worker: Worker, tmp_path: Path, atomic: bool) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "diary.txt").write_text("dear diary")
    with pytest.raises(StageConflictError, match="not this study's"):
        worker.run(tmp_path, worker.stage("text", atomic=atomic))
    assert snapshot(tmp_path) == {"text/diary.txt": b"dear diary"}


def test_redo_moves_a_stage_and_what_follows_and_deletes_nothing(worker: Worker, tmp_path: Path) -> None:
    stages = [
        worker.stage("text"),
        worker.stage("words", "text"),
        worker.stage("models/a", "words"),
        worker.stage("pages", "models/a"),
        worker.stage("other", "text"),
    ]
    worker.run(tmp_path, *stages)
    before = snapshot(tmp_path)
    moved = move_aside(tmp_path, stages, "words")
    assert [str(path.relative_to(tmp_path)) for path in moved] == [
        "aside/1/words",
        "aside/1/models/a",
        "aside/1/pages",
    ]
    after = snapshot(tmp_path)
    assert sorted(after.values()) == sorted(before.values())
    stayed = {"text/made.txt", f"text/{RECORD}", "other/made.txt", f"other/{RECORD}"}
    assert {name for name in before if name in after} == stayed
    assert worker.run(tmp_path, *stages) == [False, True, True, True, False]
    assert move_aside(tmp_path, stages, "pages") == [tmp_path / "aside" / "2" / "pages"]


def test_redo_of_an_unknown_stage_lists_the_stages(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(PalmettoError, match=r"no stage 'wrods'; there are text, words"):
        move_aside(tmp_path, [worker.stage("text"), worker.stage("words", "text")], "wrods")


def test_a_study_is_held_by_one_process_and_freed_afterwards(tmp_path: Path) -> None:
    study = tmp_path / "study"
    with locked(study), pytest.raises(PalmettoError, match="Another palmetto process"), locked(study):
        pass
    with locked(study):
        pass


def test_a_study_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(PalmettoError, match="--out NEW"), locked(path):
            pass


def test_without_timing_looks_into_lists_and_dicts() -> None:
    value = {"a": [{"timing": 1, "b": 2}, 3], "timing": {"seconds": 4}, "c": {"timing": 5}}
    assert without_timing(value) == {"a": [{"b": 2}, 3], "c": {}}
