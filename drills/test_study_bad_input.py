"""What a user can get wrong, each as a real command: one clear sentence, a non-zero exit, nothing made is lost."""

import os
import random
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from study_drill import DRILLS, RECIPE, SIZES, Finished, Palmetto

Hashes = Callable[..., dict[str, str]]
TREES = """
import sys
sys.path.insert(0, {drills!r})
from dataclasses import replace
import smoke_study
def study():
    config = smoke_study.study()
    return {change}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[str], str]:
    """Write a recipe that changes the small study's `config`, and name it."""

    def write(change: str) -> str:
        path = tmp_path / "mine.py"
        path.write_text(TREES.format(drills=str(DRILLS), change=change))
        return f"{path}:study"

    return write


@pytest.fixture
def prose(tmp_path: Path) -> Path:
    """A folder of made-up text: enough to split and pack, from a fixed seed."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(2, 9))) for _ in range(400)]
    folder = tmp_path / "prose"
    folder.mkdir()
    for number in range(40):
        lines = [" ".join(draw.choices(words, k=12)) + "." for _ in range(60)]
        (folder / f"{number:02}.txt").write_text("\n".join(lines))
    return folder


def small(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "small"
    path.mkdir()
    for number, line in enumerate(text.splitlines()):
        (path / f"{number:03}.txt").write_text(line)
    return path


def test_a_named_path_that_is_missing(palmetto: Palmetto, tmp_path: Path) -> None:
    said = palmetto.refused("study", RECIPE, "--out", tmp_path / "s", "--text", tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'} does not exist" in said


@pytest.mark.parametrize("content", [None, "", " \n\t\n"])
def test_a_folder_without_any_text(palmetto: Palmetto, tmp_path: Path, content: str | None) -> None:
    (tmp_path / "empty").mkdir()
    if content is not None:
        (tmp_path / "empty" / "a.txt").write_text(content)
    said = palmetto.refused("study", RECIPE, "--out", tmp_path / "s", "--text", tmp_path / "empty")
    assert "no text" in said or "no file to read" in said


def test_a_binary_file_named_as_text(palmetto: Palmetto, tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_bytes(b"\x89PNG\0\0\xff")
    said = palmetto.refused("study", RECIPE, "--out", tmp_path / "s", "--text", tmp_path / "photo.txt")
    assert "photo.txt" in said
    assert "binary" in said


def test_a_file_named_as_text_that_may_not_be_read(palmetto: Palmetto, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "secret.txt").chmod(0)
    if os.access(tmp_path / "secret.txt", os.R_OK):
        pytest.skip("this user may read everything")
    said = palmetto.refused("study", RECIPE, "--out", tmp_path / "s", "--text", tmp_path / "secret.txt")
    assert "secret.txt" in said


def test_a_folder_of_mostly_binary_files(palmetto: Palmetto, tmp_path: Path, prose: Path) -> None:
    for number in range(20):
        (prose / f"{number}.bin").write_bytes(b"\0\1\2")
    said = palmetto.refused("study", RECIPE, "--out", tmp_path / "s", "--text", prose)
    assert "20 of 60 files cannot be read" in said
    assert "max_unreadable_share" in said


def test_a_corpus_too_small_for_the_vocabulary(
    palmetto: Palmetto, tmp_path: Path, tree_hashes: Hashes
) -> None:
    text = small(tmp_path, "\n".join(f"the word {word} is here" for word in "abcdefgh"))
    study = tmp_path / "s"
    said = palmetto.refused("study", RECIPE, "--out", study, "--text", text)
    assert "vocab_size" in said
    before = tree_hashes(study)
    assert "documents/manifest.json" in before
    assert palmetto.refused("study", RECIPE, "--out", study, "--text", text) == said
    assert tree_hashes(study) == before


def test_a_corpus_too_small_for_the_sequence_length(
    palmetto: Palmetto, tmp_path: Path, recipe: Callable
) -> None:
    mine = recipe(
        "replace(config, models=tuple(replace(m, vocab_size=300, sequence_length=4096) for m in config.models),"
        " tokenizer=replace(config.tokenizer, vocab_size=300))"
    )
    text = small(tmp_path, "\n".join(f"line {number} of a short text of lines" for number in range(40)))
    said = palmetto.refused("study", mine, "--out", tmp_path / "s", "--text", text)
    assert "sequence_length=4096" in said


def test_a_corpus_too_small_for_the_steps_is_told_before_training(
    palmetto: Palmetto, tmp_path: Path, recipe: Callable
) -> None:
    mine = recipe("replace(config, training=replace(config.training, steps=100_000))")
    said = palmetto.refused("study", mine, "--out", tmp_path / "s")
    assert "training.steps" in said
    assert "training.epochs" in said
    assert not (tmp_path / "s" / "models").exists()


def test_heldout_text_too_small_for_the_tasks(
    palmetto: Palmetto, tmp_path: Path, prose: Path, recipe: Callable
) -> None:
    mine = recipe("replace(config, tasks=replace(config.tasks, min_items=5000, n_items=5000))")
    said = palmetto.refused("study", mine, "--out", tmp_path / "s", "--text", prose)
    assert "of the 5000 needed" in said


def test_an_unknown_recipe(palmetto: Palmetto, tmp_path: Path) -> None:
    said = palmetto.refused("study", "startre", "--out", tmp_path / "s")
    assert "no study recipe 'startre'; there is starter" in said
    assert not (tmp_path / "s").exists()


def test_a_recipe_file_with_a_syntax_error(palmetto: Palmetto, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def study(:\n    return 1\n")
    said = palmetto.refused("study", f"{tmp_path / 'mine.py'}:study", "--out", tmp_path / "s")
    assert "mine.py" in said
    assert "SyntaxError" in said
    assert "line 1" in said


@pytest.mark.parametrize("below", ["", "deep/er"])
def test_out_that_is_a_file(palmetto: Palmetto, tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    said = palmetto.refused("study", RECIPE, "--out", tmp_path / "file" / below)
    assert "--out NEW" in said
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_of_somebody_else_where_a_stage_would_write(
    palmetto: Palmetto, tmp_path: Path, tree_hashes: Hashes
) -> None:
    study = tmp_path / "s"
    (study / "documents").mkdir(parents=True)
    (study / "documents" / "diary.txt").write_text("dear diary")
    before = tree_hashes(study)
    said = palmetto.refused("study", RECIPE, "--out", study, code=3)
    assert str(study / "documents") in said
    assert "not this study's" in said
    assert tree_hashes(study) == before


def test_other_text_after_a_finished_study(
    palmetto: Palmetto, copied: Path, prose: Path, tree_hashes: Hashes
) -> None:
    before = tree_hashes(copied)
    said = palmetto.refused("study", RECIPE, "--out", copied, "--text", prose, code=3)
    assert "Stage documents" in said
    assert "corpus.text" in said
    assert tree_hashes(copied) == before


def test_text_that_changed_on_disk_after_a_study(
    palmetto: Palmetto, tmp_path: Path, prose: Path, recipe: Callable, tree_hashes: Hashes
) -> None:
    """An unreachable number of steps ends the study after its first stages, which is all this needs."""
    mine, study = recipe("replace(config, training=replace(config.training, steps=100_000))"), tmp_path / "s"
    palmetto.refused("study", mine, "--out", study, "--text", prose)
    before = tree_hashes(study)
    (prose / "00.txt").write_text("something else")
    said = palmetto.refused("study", mine, "--out", study, "--text", prose, code=3)
    assert f"files under {prose}" in said
    assert tree_hashes(study) == before


@pytest.mark.parametrize(
    ("change", "stage", "field"),
    [
        ("replace(config, training=replace(config.training, steps=17))", "train/smoke_16", "training.steps"),
        (
            "replace(config, evaluation=replace(config.evaluation, confidence=0.9))",
            "train/smoke_16",
            "confidence",
        ),
        ("replace(config, evaluation=replace(config.evaluation, shots=(0,)))", "evaluate/smoke_16", "shots"),
        (
            "replace(config, energy=replace(config.energy, watts=1.0))",
            "report",
            "energy.watts was 45.0 and is 1.0",
        ),
    ],
)
def test_another_recipe_after_a_finished_study(
    palmetto: Palmetto,
    copied: Path,
    recipe: Callable,
    tree_hashes: Hashes,
    change: str,
    stage: str,
    field: str,
) -> None:
    before = tree_hashes(copied)
    said = palmetto.refused("study", recipe(change), "--out", copied, code=3)
    assert f"Stage {stage} " in said
    assert field in said
    assert f"--redo {stage}" in said
    assert tree_hashes(copied) == before


def test_redo_moves_aside_and_makes_again(
    palmetto: Palmetto, copied: Path, finished: Finished, tree_hashes: Hashes, results: Callable
) -> None:
    name = f"analyse/{SIZES[1]}"
    done = palmetto.run("study", RECIPE, "--out", copied, "--redo", name)
    assert done.returncode == 0, done.stderr
    aside = copied / "aside" / "1"
    old, analyses = tree_hashes(finished.folder), f"models/{SIZES[1]}/analyses"
    moved = {path: value for path, value in old.items() if path.startswith((analyses, "report/"))}
    assert tree_hashes(aside) == moved
    shutil.move(aside, copied.parent / "aside")
    (copied / "aside").rmdir()
    assert results(copied) == results(finished.folder)


def test_redo_of_an_unknown_stage(palmetto: Palmetto, copied: Path, tree_hashes: Hashes) -> None:
    before = tree_hashes(copied)
    said = palmetto.refused("study", RECIPE, "--out", copied, "--redo", "analyse")
    assert "there is no stage 'analyse'" in said
    assert tree_hashes(copied) == before


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def test_a_checkpoint_with_a_flipped_bit(palmetto: Palmetto, copied: Path) -> None:
    model = copied / "models" / SIZES[2]
    checkpoint = max(path for path in (model / "checkpoints").iterdir() if path.name.isdigit())
    largest = max(
        (path for path in checkpoint.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
    )
    flip(largest)
    said = palmetto.refused("generate", model, "def ")
    assert str(checkpoint) in said
    assert str(largest.relative_to(checkpoint)) in said
    assert "damaged" in said


@pytest.mark.parametrize("name", ["tokenizer/tokenizer.model", "models/smoke_32/config.json"])
def test_a_damaged_or_missing_file_of_a_study(palmetto: Palmetto, copied: Path, name: str) -> None:
    (copied / name).write_bytes(b"\0damaged")
    assert Path(name).name in palmetto.refused("generate", copied / "models" / "smoke_32", "def ")
    (copied / name).unlink()
    assert Path(name).name in palmetto.refused("generate", copied / "models" / "smoke_32", "def ")


def test_a_damaged_stage_record(palmetto: Palmetto, copied: Path) -> None:
    (copied / "tasks" / "stage.json").write_text("{")
    assert "stage.json is not valid JSON" in palmetto.refused("study", RECIPE, "--out", copied)


def sizes_to_fill(finished: Finished) -> list[int]:
    """Free space that runs out in the documents, the corpus, the tasks or first training, and later."""
    whole = sum(path.stat().st_size for path in finished.folder.rglob("*") if path.is_file())
    return [100_000, 1_500_000, 3_000_000, whole // 2]


@pytest.mark.parametrize("which", range(4))
def test_a_full_disk(
    palmetto: Palmetto, finished: Finished, tmp_path: Path, small_disk: Callable[[int], Path], which: int,
    results: Callable,
) -> None:  # fmt: skip
    """After room was made the same command goes on to the same results; nothing but the sentence is shown."""
    disk = small_disk(sizes_to_fill(finished)[which])
    study = disk / "study"
    done = palmetto.run("study", RECIPE, "--out", study)
    assert done.returncode in (2, 4), done.stderr
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("palmetto: ")]
    assert "space" in said.lower()
    assert "run the same command again" in said
    roomy = tmp_path / "roomy"
    shutil.copytree(study, roomy)
    again = palmetto.run("study", RECIPE, "--out", roomy)
    assert again.returncode == 0, again.stderr
    assert results(roomy) == results(finished.folder)
    assert "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("limit", [1_000, 50_000, 300_000])
def test_a_limit_on_the_size_of_files(palmetto: Palmetto, tmp_path: Path, limit: int) -> None:
    """What a quota or `ulimit -f` does; a study that is stopped so goes on without the limit."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = palmetto.run("study", RECIPE, "--out", tmp_path / "s", preexec_fn=limited)
    assert done.returncode in (2, 4), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("palmetto: "), done.stderr
    assert "File too large" in last
