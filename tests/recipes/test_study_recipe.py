"""Finding a recipe by name, or in a file of the user's own."""

from pathlib import Path

import pytest

from palmetto.common.errors import PalmettoError
from palmetto.recipes.studies import STUDIES, study_recipe

GOOD = "from palmetto.recipes.studies import starter\ndef study():\n    return starter()\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", STUDIES)
def test_a_name_gives_its_study(name: str) -> None:
    assert study_recipe(name).name == name


def test_a_file_and_function_give_theirs(tmp_path: Path) -> None:
    assert study_recipe(f"{write(tmp_path, GOOD)}:study") == STUDIES["starter"]()


def test_a_file_alone_means_its_function_study(tmp_path: Path) -> None:
    assert study_recipe(str(write(tmp_path, GOOD))) == STUDIES["starter"]()


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(PalmettoError, match=r"no study recipe 'startre'; there is starter"):
        study_recipe("startre")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PalmettoError, match=r"nowhere\.py does not exist"):
        study_recipe(f"{tmp_path / 'nowhere.py'}:study")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = 1\n", "has no function 'study'"),
        ("study = 1\n", "has no function 'study'"),
        ("def study():\n    return 3\n", "returns int; it must return a StudyConfig"),
        ("def study(:\n", "fails: SyntaxError"),
        ("import nothing_of_this_name\n", "fails: ModuleNotFoundError"),
    ],
)
def test_a_file_that_gives_no_study_is_named_with_the_reason(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(PalmettoError, match=complaint) as caught:
        study_recipe(f"{path}:study")
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text(GOOD)
    with pytest.raises(PalmettoError, match=r"ends in \.py"):
        study_recipe(f"{tmp_path / 'mine.txt'}:study")


def test_an_error_of_palmetto_keeps_its_own_words(tmp_path: Path) -> None:
    text = "from palmetto.training.schedules import BatchSize\ndef study():\n    return BatchSize(sizes=())\n"
    with pytest.raises(PalmettoError, match="must have equal length"):
        study_recipe(f"{write(tmp_path, text)}:study")
