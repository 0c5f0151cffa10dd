"""The look at the input that tells a study it was given other text."""

import os
import platform
from pathlib import Path

import pytest

from palmetto.corpus.config import CorpusConfig
from palmetto.study.sources import fingerprint


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "text" / "deep").mkdir(parents=True)
    (tmp_path / "text" / "a.txt").write_text("one")
    (tmp_path / "text" / "deep" / "b.txt").write_text("two")
    return tmp_path / "text"


def look(*paths: Path) -> dict[str, str]:
    return fingerprint(CorpusConfig(text=tuple(map(str, paths))))


def test_without_text_it_is_the_interpreter() -> None:
    assert fingerprint(CorpusConfig()) == {"corpus.python": platform.python_version()}


def test_it_is_the_same_at_every_look(text: Path) -> None:
    assert look(text) == look(text)


@pytest.mark.parametrize("change", ["content", "time", "name", "more", "less"])
def test_it_changes_with_what_is_there(text: Path, change: str) -> None:
    before, file = look(text), text / "deep" / "b.txt"
    if change == "content":
        file.write_text("three")
    elif change == "time":
        os.utime(file, ns=(0, 0))
    elif change == "name":
        file.rename(file.with_name("c.txt"))
    elif change == "more":
        (text / "c.txt").write_text("")
    else:
        file.unlink()
    assert look(text) != before


def test_a_file_named_itself_is_looked_at_too(text: Path) -> None:
    before = look(text / "a.txt", text / "deep")
    (text / "a.txt").write_text("one more")
    after = look(text / "a.txt", text / "deep")
    assert [name for name in before if before[name] != after[name]] == [f"files under {text / 'a.txt'}"]


def test_a_missing_path_is_no_error_here(tmp_path: Path) -> None:
    """The corpus stage says it, with the remedy."""
    assert list(look(tmp_path / "nowhere")) == [f"files under {tmp_path / 'nowhere'}"]
