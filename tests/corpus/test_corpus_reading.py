"""Reading one file: every supported form, and a reason with its place for every fault."""

import gzip
import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from palmetto.corpus.config import CorpusConfig
from palmetto.corpus.reading import Row, UnreadableError, file_kind, read_file


def _read(path: Path, **choices: object) -> list[Row]:
    return list(read_file(path, CorpusConfig(**choices)))


def _refusal(path: Path, **choices: object) -> str:
    with pytest.raises(UnreadableError) as caught:
        _read(path, **choices)
    return str(caught.value)


def _file(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.rst", "a.py", "README", "a.weird"])
def test_any_utf8_file_is_one_text(tmp_path: Path, name: str) -> None:
    assert _read(_file(tmp_path, name, "é\u2581\n")) == [Row("é\u2581\n", "", {})]


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    assert _read(_file(tmp_path, "a.txt", b"\xef\xbb\xbfhello"))[0].text == "hello"


def test_a_nul_byte_means_binary(tmp_path: Path) -> None:
    assert "binary" in _refusal(_file(tmp_path, "a.txt", b"GIF\0\1"))


def test_bytes_that_are_not_utf8_are_refused_with_their_place(tmp_path: Path) -> None:
    assert "not UTF-8 text (at byte 3)" in _refusal(_file(tmp_path, "a.txt", "caf\xe9".encode("latin-1")))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "cannot be read (No such file" in _refusal(tmp_path / "gone.txt")


def test_a_file_that_may_not_be_opened_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    path = _file(tmp_path, "a.txt", "x")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert "Permission denied" in _refusal(path)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json.gz"])
def test_json_lines_give_a_text_each_with_its_short_fields(tmp_path: Path, name: str) -> None:
    rows = [
        {"text": "one", "url": "http://a", "year": 1999, "tags": ["x"], "long": "y" * 2000},
        {"text": "two"},
    ]
    content = "\n".join(map(json.dumps, rows)).encode() + b"\n\n"
    path = _file(tmp_path, name, gzip.compress(content) if name.endswith("gz") else content)
    assert _read(path) == [
        Row("one", ":00000001", {"url": "http://a", "year": "1999"}),
        Row("two", ":00000002", {}),
    ]


def test_the_text_field_may_have_another_name(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.jsonl", '{"body": "one", "text": "not this"}')
    assert _read(path, text_column="body")[0].text == "one"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "open', "line 2: is not JSON"),
        ("[1]", "line 2: is not a JSON object"),
        ('{"body": "x", "id": 3}', "line 2: has no field 'text' (its fields: body, id)"),
        ('{"text": null}', "line 2: field 'text' is not a string"),
        ('{"text": "a\\ud800"}', "line 2: field 'text' holds a lone surrogate"),
        ("[" * 100_000, "line 2: is not JSON"),
    ],
)
def test_a_bad_json_line_is_refused_with_its_number(tmp_path: Path, line: str, reason: str) -> None:
    assert reason in _refusal(_file(tmp_path, "a.jsonl", '{"text": "fine"}\n' + line))


def test_a_json_line_that_is_not_utf8_is_refused_with_its_number(tmp_path: Path) -> None:
    assert "line 1: is not UTF-8" in _refusal(_file(tmp_path, "a.jsonl", b'{"text": "caf\xe9"}'))


def test_a_lone_surrogate_beside_the_text_is_replaced(tmp_path: Path) -> None:
    assert _read(_file(tmp_path, "a.jsonl", '{"text": "x", "t": "\\ud800"}'))[0].metadata == {"t": "?"}


def test_compressed_lines_cut_short_are_refused(tmp_path: Path) -> None:
    packed = gzip.compress(b'{"text": "one"}\n' * 5000)
    assert "damaged" in _refusal(_file(tmp_path, "a.jsonl.gz", packed[: len(packed) // 2]))


def test_a_name_that_promises_gzip_and_is_not_is_refused(tmp_path: Path) -> None:
    assert "gzip" in _refusal(_file(tmp_path, "a.jsonl.gz", '{"text": "one"}'))


def test_parquet_rows_give_a_text_each(tmp_path: Path) -> None:
    table = pyarrow.table({"text": ["one", "two"], "stars": [1, None], "vector": [[1.0], [2.0]]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert _read(tmp_path / "a.parquet") == [
        Row("one", ":00000001", {"stars": "1"}),
        Row("two", ":00000002", {}),
    ]


def test_a_missing_parquet_column_names_those_there(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"body": ["one"], "n": [1]}), tmp_path / "a.parquet")
    assert "has no column 'text' but body, n" in _refusal(tmp_path / "a.parquet")


def test_a_parquet_column_that_is_not_text_is_refused(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"text": [1, 2]}), tmp_path / "a.parquet")
    assert "holds int64, not text" in _refusal(tmp_path / "a.parquet")


def test_an_empty_parquet_cell_is_refused_with_its_row(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"text": ["one", None]}), tmp_path / "a.parquet")
    assert "row 2: field 'text' is not a string" in _refusal(tmp_path / "a.parquet")


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    assert "not a readable Parquet file" in _refusal(_file(tmp_path, "a.parquet", b"PAR1 no more"))


def test_a_large_text_file_is_read_in_pieces_with_its_line_ends_made_one(tmp_path: Path) -> None:
    paragraphs = [f"paragraph {number} " + "word " * 20 for number in range(100)]
    path = _file(tmp_path, "book.txt", b"\xef\xbb\xbf" + "\r\n\r\n".join(paragraphs).encode())
    rows = _read(path, large_file_bytes=1000, piece_characters=512)
    assert "".join(row.text for row in rows) == "\n\n".join(paragraphs)
    assert [row.suffix for row in rows[:2]] == ["#00000000", "#00000001"]
    assert max(len(row.text) for row in rows) <= 512


@pytest.mark.parametrize(("bad", "reason"), [(b"\0", "binary"), (b"\xff", "not UTF-8")])
def test_a_large_file_with_a_bad_place_is_refused(tmp_path: Path, bad: bytes, reason: str) -> None:
    path = _file(tmp_path, "book.txt", b"fine\n" * 1000 + bad)
    assert reason in _refusal(path, large_file_bytes=1000)


def test_the_kind_of_a_file_is_its_suffix() -> None:
    names = ["a.PY", "b.jsonl.gz", "Makefile", "c.tar.gz"]
    assert [file_kind(Path(name)) for name in names] == [".py", ".jsonl.gz", "(none)", ".gz"]
