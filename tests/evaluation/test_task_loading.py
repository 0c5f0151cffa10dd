import json
import logging
import os
import shutil
import subprocess
import sys

import pytest

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json_lines
from palmetto.evaluation.loading import load_tasks, quiet_lm_eval

NAMES = ["cloze", "continuation", "copying"]


def rows(folder, name, split):
    return list(read_json_lines(folder / f"{name}.{split}.jsonl"))


def instances(tasks, name, shots):
    with quiet_lm_eval():
        task = tasks.set_shots(name, shots)
        task.build_all_requests()
    return task.instances


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shots", [0, 1, 5])
def test_lm_eval_forms_exactly_the_text_of_exemplars_question_and_choice(tasks, tasks_folder, name, shots):
    exemplars = rows(tasks_folder, name, "fewshot")[:shots]
    prefix = "".join(row["question"] + row["target"] + "\n\n" for row in exemplars)
    wanted = [
        (prefix + row["question"], choice)
        for row in rows(tasks_folder, name, "test")
        for choice in row.get("choices", [row["target"]])
    ]
    assert [instance.args for instance in instances(tasks, name, shots)] == wanted


def test_the_longest_request_lm_eval_forms_is_the_manifests(tasks):
    for name in NAMES:
        for shots, longest in tasks.facts(name)["longest_tokens"].items():
            texts = ("".join(instance.args) for instance in instances(tasks, name, int(shots)))
            assert max(len(text.encode()) for text in texts) == longest


def test_a_moved_folder_works_with_lm_eval_alone(tasks_folder, tmp_path):
    shutil.copytree(tasks_folder, tmp_path / "elsewhere")
    program = """
import json, sys
from lm_eval.tasks import TaskManager
loaded = TaskManager(include_path=sys.argv[1], include_defaults=False).load(["palmetto_made"])
print(json.dumps({name: len(task.eval_docs) for name, task in loaded["tasks"].items()}))
print("palmetto" in sys.modules)
"""
    environment = {
        **os.environ,
        "HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "elsewhere")],
        capture_output=True, text=True, check=True, env=environment, cwd=tmp_path,
    )  # fmt: skip
    counts, palmetto = done.stdout.splitlines()
    assert json.loads(counts) == dict.fromkeys(NAMES, 60)
    assert palmetto == "False"
    assert not list((tmp_path / "home").iterdir())


def test_loading_leaves_nothing_in_the_folder(tasks, tasks_folder):
    assert tasks.tasks
    assert {path.name for path in tasks_folder.iterdir()} == {*tasks.manifest["files"], "manifest.json"}


def test_a_changed_file_is_an_error_that_names_it(tasks_folder, tmp_path):
    shutil.copytree(tasks_folder, tmp_path / "tasks")
    with (tmp_path / "tasks" / "cloze.test.jsonl").open("a") as stream:
        stream.write("{}\n")
    with pytest.raises(PalmettoError, match=r"cloze\.test\.jsonl is missing or changed"):
        load_tasks(tmp_path / "tasks")


def test_a_folder_without_tasks_is_an_error(tmp_path):
    with pytest.raises(PalmettoError, match=r"manifest\.json does not exist"):
        load_tasks(tmp_path)


def test_more_shots_than_exemplars_are_an_error(tasks):
    with pytest.raises(PalmettoError, match="6 shots asked, but it has 5"):
        tasks.set_shots("cloze", 6)


def test_an_unknown_task_is_an_error_that_lists_the_known(tasks):
    with pytest.raises(PalmettoError, match="cloze, continuation, copying"):
        tasks.facts("closure")


def test_lm_eval_is_quiet_inside_the_block_and_as_before_after_it(tasks, capfd):
    logger = logging.getLogger("lm_eval")
    before = logger.level
    instances(tasks, "cloze", 1)
    assert logger.level == before
    assert capfd.readouterr().err == ""
