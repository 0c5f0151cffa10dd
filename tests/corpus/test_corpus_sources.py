"""Which files a corpus is read from."""

import os
from pathlib import Path

import pytest

from palmetto.common.errors import PalmettoError
from palmetto.corpus.config import CorpusConfig
from palmetto.corpus.sources import find_files, standard_library


def _write(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"text of {name}\n")
    return root


def _ids(*paths: Path) -> list[str]:
    return [file.id for file in find_files(CorpusConfig(text=tuple(map(str, paths)))).files]


def test_the_default_is_the_running_interpreters_standard_library() -> None:
    listing = find_files(CorpusConfig())
    ids = {file.id for file in listing.files}
    assert {"argparse.py", "asyncio/events.py", "json/decoder.py"} <= ids
    assert not any("site-packages" in identity or "_sysconfigdata" in identity for identity in ids)
    assert listing.description["kind"] == "standard library"
    assert listing.description["licence"] == "PSF-2.0"
    assert all(file.path.suffix == ".py" for file in listing.files)


def test_the_standard_library_is_without_what_others_installed_and_what_names_the_machine(
    tmp_path: Path,
) -> None:
    _write(
        tmp_path, "os.py", "json/__init__.py", "notes.txt", "_sysconfigdata__linux.py", "__pycache__/os.py"
    )
    _write(tmp_path, "site-packages/numpy.py", "dist-packages/apt.py", "config-3.11-linux/python-config.py")
    (tmp_path / "sitecustomize.py").symlink_to(tmp_path / "os.py")
    listing = standard_library(tmp_path)
    assert sorted(file.id for file in listing.files) == ["json/__init__.py", "os.py"]
    assert {file.id: file.source for file in listing.files} == {
        "json/__init__.py": "json",
        "os.py": "(top level)",
    }


def test_the_licence_text_of_the_standard_library_is_recorded_where_it_is_there(tmp_path: Path) -> None:
    assert standard_library(_write(tmp_path, "os.py")).description["licence_file"] is None
    recorded = standard_library(_write(tmp_path, "LICENSE.txt")).description["licence_file"]
    assert recorded["path"] == "LICENSE.txt"
    assert len(recorded["sha256"]) == 64


def test_files_come_in_the_order_of_their_ids(tmp_path: Path) -> None:
    _write(tmp_path, "b.txt", "a/z.txt", "a.txt", "c/d/e.md")
    assert _ids(tmp_path) == ["a.txt", "a/z.txt", "b.txt", "c/d/e.md"]


def test_ids_of_several_paths_begin_with_the_paths_name(tmp_path: Path) -> None:
    _write(tmp_path, "one/a.txt", "two/a.txt", "b.txt")
    assert _ids(tmp_path / "one", tmp_path / "two", tmp_path / "b.txt") == ["b.txt", "one/a.txt", "two/a.txt"]


def test_two_paths_of_the_same_name_have_different_ids(tmp_path: Path) -> None:
    _write(tmp_path, "x/data/a.txt", "y/data/a.txt")
    assert _ids(tmp_path / "x/data", tmp_path / "y/data") == ["data/a.txt", "data~2/a.txt"]


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    _write(tmp_path, "a.txt", ".git/config", ".hidden", "__pycache__/a.pyc", "sub/.env")
    assert _ids(tmp_path) == ["a.txt"]


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(PalmettoError, match=r"nowhere\.txt does not exist"):
        _ids(tmp_path / "nowhere.txt")


def test_a_dangling_link_that_was_named_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "link.txt").symlink_to(tmp_path / "gone.txt")
    with pytest.raises(PalmettoError, match=r"link\.txt does not exist"):
        _ids(tmp_path / "link.txt")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PalmettoError, match=f"no file to read was found in {tmp_path}"):
        _ids(tmp_path)


def test_a_pipe_that_was_named_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PalmettoError, match="neither a file nor a folder"):
        _ids(tmp_path / "pipe")


def test_pipes_and_dangling_links_in_a_folder_are_listed_not_opened(tmp_path: Path) -> None:
    _write(tmp_path, "a.txt")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link.txt").symlink_to(tmp_path / "gone.txt")
    listing = find_files(CorpusConfig(text=(str(tmp_path),)))
    assert [file.id for file in listing.files] == ["a.txt"]
    reasons = {Path(entry.path).name: entry.reason for entry in listing.unreadable}
    assert reasons.keys() == {"pipe", "link.txt"}
    assert "not a regular file" in reasons["pipe"]


def test_a_link_to_a_folder_is_listed_and_not_followed_so_loops_end(tmp_path: Path) -> None:
    _write(tmp_path, "sub/a.txt")
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    listing = find_files(CorpusConfig(text=(str(tmp_path),)))
    assert [file.id for file in listing.files] == ["sub/a.txt"]
    assert [Path(entry.path).name for entry in listing.passed_over] == ["loop"]


def test_a_folder_that_may_not_be_opened_counts_as_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, "a.txt", "locked/b.txt")
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = find_files(CorpusConfig(text=(str(tmp_path),)))
    assert [file.id for file in listing.files] == ["a.txt"]
    assert "Permission denied" in listing.unreadable[0].reason


def test_a_named_folder_that_may_not_be_opened_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(PalmettoError, match=r"cannot be read.*Permission denied"):
        _ids(tmp_path)


def test_a_file_name_that_is_not_utf8_gets_an_id_that_is(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    try:
        (tmp_path / name).write_text("text")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert _ids(tmp_path) == ["caf\\xe9.txt"]


@pytest.mark.parametrize(
    "field",
    [
        {"heldout_fraction": 1.0},
        {"max_unreadable_share": -0.1},
        {"min_heldout_documents": 0},
        {"piece_characters": 10},
        {"cut_below_documents": -1},
        {"large_file_bytes": 0},
    ],
)
def test_a_senseless_choice_names_its_field(field: dict) -> None:
    with pytest.raises(PalmettoError, match=next(iter(field))):
        CorpusConfig(**field)
