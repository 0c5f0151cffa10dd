"""Files are whole or absent, equal content gives equal bytes, and a damaged file is named."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmetto.common.errors import PalmettoError
from palmetto.common.files import (
    atomic_folder,
    atomic_path,
    canonical_json,
    folder_bytes,
    hash_json,
    read_json,
    read_json_lines,
    sha256_file,
    write_json,
    write_json_lines,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=6,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Stop(Exception):
    """Stands for whatever ends a write half-way."""


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    path.write_text("old")
    with pytest.raises(Stop), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise Stop
    assert path.read_text() == "old"
    assert names(tmp_path) == ["figures.json"]


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "figures.json"
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(path.parent) == ["figures.json"]


def test_rows_that_fail_half_way_leave_the_old_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    write_json_lines(path, [1, 2])

    def rows():
        yield 3
        raise Stop

    with pytest.raises(Stop):
        write_json_lines(path, rows())
    assert list(read_json_lines(path)) == [1, 2]


def test_a_folder_appears_only_when_its_block_ends_well(tmp_path: Path) -> None:
    final = tmp_path / "corpus"
    with pytest.raises(Stop), atomic_folder(final) as temporary:
        (temporary / "half").write_text("x")
        raise Stop
    assert not final.exists()
    with atomic_folder(final) as temporary:
        assert names(temporary) == []  # what the failed attempt left is gone
        (temporary / "whole").write_text("y")
        assert not final.exists()
    assert names(tmp_path) == ["corpus"]
    assert names(final) == ["whole"]


def test_a_finished_folder_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "whole").write_text("y")
    with (
        pytest.raises(PalmettoError, match=r"corpus already exists.*move it away"),
        atomic_folder(tmp_path / "corpus"),
    ):
        pass
    assert (tmp_path / "corpus" / "whole").read_text() == "y"


@given(values)
def test_a_value_comes_back_from_its_file(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.mktemp("value") / "value.json"
    write_json(path, value)
    assert read_json(path) == value


@given(st.lists(values, max_size=4), st.sampled_from(["rows.jsonl", "rows.jsonl.gz"]))
def test_rows_come_back_from_their_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[object], name: str
) -> None:
    path = tmp_path_factory.mktemp("rows") / name
    write_json_lines(path, rows)
    assert list(read_json_lines(path)) == rows


def test_equal_rows_give_equal_compressed_bytes_whatever_the_name_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json_lines(tmp_path / "one.jsonl.gz", [{"a": 1}] * 50)
    monkeypatch.setattr("time.time", lambda: 2e9)
    write_json_lines(tmp_path / "two.jsonl.gz", [{"a": 1}] * 50)
    assert (tmp_path / "one.jsonl.gz").read_bytes() == (tmp_path / "two.jsonl.gz").read_bytes()


def test_the_hash_of_a_value_ignores_the_order_of_its_keys() -> None:
    """Oracle: the standard library's SHA-256 of the text written out by hand."""
    text = '{"a":[1,"é"],"b":null}'
    assert canonical_json({"b": None, "a": [1, "é"]}) == text
    assert hash_json({"b": None, "a": [1, "é"]}) == hashlib.sha256(text.encode()).hexdigest()


def test_a_file_larger_than_one_piece_is_hashed_whole(tmp_path: Path) -> None:
    data = bytes(range(256)) * 4097
    (tmp_path / "large").write_bytes(data)
    assert sha256_file(tmp_path / "large") == hashlib.sha256(data).hexdigest()


def test_a_missing_file_is_an_error_naming_it(tmp_path: Path) -> None:
    with pytest.raises(PalmettoError, match=r"absent\.json does not exist"):
        read_json(tmp_path / "absent.json")
    with pytest.raises(PalmettoError, match=r"absent\.jsonl does not exist"):
        list(read_json_lines(tmp_path / "absent.jsonl"))


@pytest.mark.parametrize("content", [b"{", b'{"a": 1', b"\xff\xfe", b""])
def test_a_damaged_value_is_an_error_naming_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "value.json").write_bytes(content)
    with pytest.raises(PalmettoError, match=r"value\.json is not valid JSON.*damaged"):
        read_json(tmp_path / "value.json")


def test_a_bad_line_is_named_and_the_lines_before_it_are_read(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('1\n\n{"a":\n4\n')
    rows = read_json_lines(tmp_path / "rows.jsonl")
    assert next(rows) == 1
    with pytest.raises(PalmettoError, match=r"rows\.jsonl, line 3: not valid JSON"):
        next(rows)


def test_every_damage_to_a_compressed_file_is_an_error_naming_it(tmp_path: Path) -> None:
    """Each byte changed in turn: the file reads as it was (a header byte that says nothing) or is refused by name."""
    path, rows = tmp_path / "rows.jsonl.gz", [{"text": f"row {number}"} for number in range(40)]
    write_json_lines(path, rows)
    whole, refused = path.read_bytes(), 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            assert list(read_json_lines(path)) == rows
        except PalmettoError as error:
            assert path.name in str(error)
            refused += 1
    assert refused > 0.9 * len(whole)


def test_a_compressed_file_cut_short_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(json.dumps("x" * 500).encode())[:-9])
    with pytest.raises(PalmettoError, match=r"rows\.jsonl\.gz, after line 0: damaged"):
        list(read_json_lines(tmp_path / "rows.jsonl.gz"))


def test_the_bytes_of_a_folder_are_those_of_all_files_below_it(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "one").write_bytes(b"123")
    (tmp_path / "a" / "b" / "two").write_bytes(b"45")
    assert folder_bytes(tmp_path) == 5
