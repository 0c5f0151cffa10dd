"""Preparing documents: what is kept, what is dropped and counted, and nothing depends on place or time."""

import errno
import gzip
import json
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, read_json_lines, sha256_file
from palmetto.common.progress import Silent
from palmetto.corpus import documents as documents_module
from palmetto.corpus.config import CorpusConfig
from palmetto.corpus.documents import Document, read_documents
from palmetto.corpus.prepare import _cutoff, prepare_documents


class Listener(Silent):
    """A reporter that remembers what was said and how far the bars came."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.done: dict[str, tuple[float | None, float]] = {}

    def say(self, text: str) -> None:
        self.said.append(text)

    @contextmanager
    def bar(self, description: str, total: float | int | None, unit: str) -> Iterator["_CountingBar"]:
        counting = _CountingBar()
        yield counting
        assert unit == "B"
        self.done[description] = (total, counting.count)


class _CountingBar:
    def __init__(self) -> None:
        self.count: float = 0

    def advance(self, amount: float | int = 1) -> None:
        self.count += amount

    def note(self, text: str) -> None:
        pass


def _corpus(root: Path, count: int = 40) -> Path:
    draw = random.Random(0)
    for number in range(count):
        path = root / f"part{number % 3}" / f"{number:03d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"document {number}\n" + "".join(draw.choices("abc de\n", k=200)))
    return root


def _prepare(out: Path, *paths: Path, reporter: Silent | None = None, **choices: object) -> dict:
    out.mkdir()
    config = CorpusConfig(text=tuple(map(str, paths)), **choices)
    return prepare_documents(config, out, reporter or Silent())


def _kept(out: Path) -> dict[str, Document]:
    both = [*read_documents(out / "train.jsonl.gz"), *read_documents(out / "heldout.jsonl.gz")]
    return {document.id: document for document in both}


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_two_preparations_give_the_same_bytes(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "corpus")
    for name in ("one", "two"):
        _prepare(tmp_path / name, corpus)
    assert _contents(tmp_path / "one") == _contents(tmp_path / "two")


def test_nothing_but_the_promised_files_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = _corpus(tmp_path / "corpus")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    _prepare(tmp_path / "out", corpus)
    expected = {"manifest.json", "train.jsonl.gz", "heldout.jsonl.gz", "skipped.jsonl", "files.jsonl.gz"}
    assert _contents(tmp_path / "out").keys() == expected
    assert list((tmp_path / "here").iterdir()) == []


def test_preparing_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _prepare(tmp_path / "out", _corpus(tmp_path / "corpus"))
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_the_corpus_hash_does_not_depend_on_the_place(tmp_path: Path) -> None:
    here = _corpus(tmp_path / "here")
    elsewhere = shutil.copytree(here, tmp_path / "deep" / "elsewhere")
    one, two = _prepare(tmp_path / "one", here), _prepare(tmp_path / "two", elsewhere)
    assert one["corpus_hash"] == two["corpus_hash"]
    assert one["documents_sha256"] == two["documents_sha256"]


def test_the_corpus_hash_depends_on_each_text(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "corpus")
    before = _prepare(tmp_path / "one", corpus)["corpus_hash"]
    (corpus / "part0" / "000.txt").write_text("changed")
    assert _prepare(tmp_path / "two", corpus)["corpus_hash"] != before


def test_the_manifest_counts_what_the_files_hold(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "corpus")
    manifest = _prepare(tmp_path / "out", corpus)
    assert manifest == read_json(tmp_path / "out" / "manifest.json")
    for split in ("train", "heldout"):
        path = tmp_path / "out" / f"{split}.jsonl.gz"
        documents = list(read_documents(path))
        assert manifest["counts"][f"{split}_documents"] == len(documents) > 0
        assert manifest["counts"][f"{split}_bytes"] == sum(
            len(document.text.encode()) for document in documents
        )
        assert manifest["documents_sha256"][split] == sha256_file(path)
        assert [document.id for document in documents] == sorted(document.id for document in documents)
    total = manifest["counts"]["train_bytes"] + manifest["counts"]["heldout_bytes"]
    assert sum(manifest["sources"].values()) == total
    assert manifest["sources"].keys() == {"part0", "part1", "part2"}
    assert manifest["suffixes"] == {".txt": {"documents": 40, "bytes": total}}
    assert manifest["input"] == {
        "kind": "files",
        "paths": [str(corpus)],
        "licence": "not stated; the user's own text",
    }


def test_every_file_read_is_listed_with_its_hash(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "corpus", 5)
    _prepare(tmp_path / "out", corpus)
    rows = list(read_json_lines(tmp_path / "out" / "files.jsonl.gz"))
    assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)
    assert len(rows) == 5
    for row in rows:
        assert row["sha256"] == sha256_file(corpus / row["path"])
        assert row["bytes"] == (corpus / row["path"]).stat().st_size
        assert row["documents"] == 1


def test_line_ends_become_one_kind_and_the_rest_of_the_text_is_untouched(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "corpus")
    (corpus / "odd.txt").write_bytes("\ufeff  a\r\nb\rc\u2028 \t e\u0301\x0c\n".encode())
    _prepare(tmp_path / "out", corpus)
    assert _kept(tmp_path / "out")["odd.txt"].text == "  a\nb\nc\u2028 \t e\u0301\x0c\n"


def test_of_equal_texts_the_first_by_id_is_kept(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "corpus")
    for name in ("b.txt", "a.txt", "part0/x.txt"):
        (corpus / name).write_bytes(b"the same\r\n" if name == "b.txt" else b"the same\n")
    manifest = _prepare(tmp_path / "out", corpus)
    assert manifest["counts"]["duplicates"] == 2
    assert {"a.txt", "b.txt", "part0/x.txt"} & _kept(tmp_path / "out").keys() == {"a.txt"}


def test_empty_documents_are_dropped_and_counted(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "corpus")
    (corpus / "empty.txt").write_text("")
    (corpus / "blank.txt").write_text(" \r\n\t\n")
    manifest = _prepare(tmp_path / "out", corpus)
    assert manifest["counts"]["empty"] == 2
    assert manifest["counts"]["skipped_unreadable"] == 0
    assert len(_kept(tmp_path / "out")) == 40


def test_bad_files_in_a_folder_are_skipped_counted_and_listed(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "corpus")
    (corpus / "image.png").write_bytes(b"\x89PNG\0\0")
    (corpus / "latin.txt").write_bytes(b"caf\xe9")
    (corpus / "rows.jsonl").write_text('{"text": "fine"}\n{"text": broken}\n')
    manifest = _prepare(tmp_path / "out", corpus)
    assert manifest["counts"]["files_seen"] == 43
    assert manifest["counts"]["skipped_unreadable"] == 3
    rows = list(read_json_lines(tmp_path / "out" / "skipped.jsonl"))
    assert rows == manifest["skipped"]
    assert [Path(row["path"]).name for row in rows] == ["image.png", "latin.txt", "rows.jsonl"]
    assert "line 2" in rows[2]["reason"]
    # Also the good first line of a bad file is left out: a file counts wholly or not at all.
    assert len(_kept(tmp_path / "out")) == 40


def test_too_many_bad_files_are_an_error_that_names_the_share(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "corpus", 10)
    for number in range(2):
        (corpus / f"{number}.bin").write_bytes(b"\0")
    with pytest.raises(PalmettoError, match=r"2 of 12 files cannot be read.*max_unreadable_share=0\.1"):
        _prepare(tmp_path / "out", corpus)
    assert _prepare(tmp_path / "again", corpus, max_unreadable_share=0.2)["counts"]["skipped_unreadable"] == 2


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.bin", b"GIF89a\0", "is binary"),
        ("a.txt", b"caf\xe9", "is not UTF-8"),
        ("a.txt", b"", "is empty"),
        ("a.txt", b" \n\n", "is empty"),
        ("a.jsonl", b"\n", "is empty"),
        ("a.jsonl", b'{"text": "x"}\n{"body": "y"}', r"line 2: has no field 'text' \(its fields: body\)"),
        ("a.parquet", b"no parquet", "not a readable Parquet file"),
    ],
)
def test_a_named_file_that_cannot_be_used_is_an_error(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    corpus = _corpus(tmp_path / "corpus")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PalmettoError, match=f"{name}.*{reason}"):
        _prepare(tmp_path / "out", corpus, tmp_path / name)


def test_json_lines_keep_their_provenance(tmp_path: Path) -> None:
    rows = [
        {"text": f"text {n}", "url": f"http://x/{n}", "source": "wiki" if n % 2 else ""} for n in range(30)
    ]
    with gzip.open(tmp_path / "web.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)
    manifest = _prepare(tmp_path / "out", tmp_path / "web.jsonl.gz")
    kept = _kept(tmp_path / "out")
    expected = Document(
        "web.jsonl.gz:00000002", "text 1", "wiki", {"url": "http://x/1", "path": "web.jsonl.gz"}
    )
    assert kept["web.jsonl.gz:00000002"] == expected
    assert manifest["sources"].keys() == {"wiki", "web.jsonl.gz"}
    assert manifest["suffixes"].keys() == {".jsonl.gz"}


def test_a_field_without_a_name_does_no_harm(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"text": f"text {n}", "": "odd"}) + "\n" for n in range(30))
    (tmp_path / "web.jsonl").write_text(rows)
    _prepare(tmp_path / "out", tmp_path / "web.jsonl")
    assert {document.source for document in _kept(tmp_path / "out").values()} == {"web.jsonl"}


def test_a_documents_side_does_not_depend_on_its_neighbours(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "corpus", 200)
    _prepare(tmp_path / "all", corpus, heldout_fraction=0.3)
    for path in sorted(corpus.rglob("*.txt"))[::2]:
        path.unlink()
    _prepare(tmp_path / "half", corpus, heldout_fraction=0.3)
    whole, half = (
        {document.id for document in read_documents(tmp_path / name / "heldout.jsonl.gz")}
        for name in ("all", "half")
    )
    assert half == {identity for identity in whole if (corpus / identity).exists()}


def test_the_split_follows_its_seed_and_share(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "corpus", 200)
    held = []
    for seed in (0, 1):
        _prepare(tmp_path / str(seed), corpus, heldout_fraction=0.3, seed=seed)
        held.append({document.id for document in read_documents(tmp_path / str(seed) / "heldout.jsonl.gz")})
    assert held[0] != held[1]
    assert all(35 <= len(side) <= 85 for side in held)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=4, unique=True), st.floats(0, 0.99), st.integers(1, 2))
@settings(max_examples=200, deadline=None)
def test_both_sides_of_the_split_hold_their_minimum(ranks: list[int], share: float, least: int) -> None:
    cutoff, moved = _cutoff(ranks, CorpusConfig(heldout_fraction=share, min_heldout_documents=least))
    held = sum(rank < cutoff for rank in ranks)
    assert least <= held <= len(ranks) - least
    assert moved == abs(held - sum(rank < share * 2**64 for rank in ranks))


def test_four_short_documents_are_enough_and_three_are_not(tmp_path: Path) -> None:
    manifest = _prepare(tmp_path / "four", _corpus(tmp_path / "corpus4", 4))
    assert manifest["counts"]["train_documents"] == manifest["counts"]["heldout_documents"] == 2
    with pytest.raises(PalmettoError, match="holds 3 different documents and the split needs 4"):
        _prepare(tmp_path / "three", _corpus(tmp_path / "corpus3", 3))


def test_one_big_file_is_cut_at_paragraphs_and_said_so(tmp_path: Path) -> None:
    paragraphs = [f"Paragraph {number}. " + f"word{number} " * 30 for number in range(400)]
    (tmp_path / "book.txt").write_text("\n\n".join(paragraphs))
    listener = Listener()
    manifest = _prepare(tmp_path / "out", tmp_path / "book.txt", reporter=listener)
    kept = _kept(tmp_path / "out")
    assert "".join(kept[identity].text for identity in sorted(kept)) == "\n\n".join(paragraphs)
    assert all(identity.startswith("book.txt#") for identity in kept)
    assert sum(document.text.endswith("\n\n") for document in kept.values()) == len(kept) - 1
    assert manifest["cut"]["documents"] == 1
    assert manifest["cut"]["pieces"] == len(kept) >= 20
    assert len(listener.said) == 1
    assert "1 document; 1 long one was cut at paragraphs" in listener.said[0]
    assert manifest["suffixes"].keys() == {".txt"}


def test_the_same_paragraphs_again_are_not_kept_when_a_file_is_cut(tmp_path: Path) -> None:
    half = "".join(f"{number:04d} " + "x" * 1018 + "\n" for number in range(8))
    (tmp_path / "book.txt").write_text(half * 2)
    manifest = _prepare(tmp_path / "out", tmp_path / "book.txt")
    assert manifest["counts"]["duplicates"] == 8
    assert len(_kept(tmp_path / "out")) == 8


def test_a_file_too_large_for_one_document_is_read_in_pieces_and_said_so(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "corpus")
    text = "".join(f"paragraph {number}\r\n\r\n" for number in range(500))
    (corpus / "large.txt").write_bytes(text.encode())
    listener = Listener()
    manifest = _prepare(
        tmp_path / "out", corpus, reporter=listener, large_file_bytes=5000, piece_characters=1000
    )
    kept = _kept(tmp_path / "out")
    pieces = [kept[identity].text for identity in sorted(kept) if identity.startswith("large.txt#")]
    assert "".join(pieces) == text.replace("\r\n", "\n")
    assert manifest["read_in_pieces"] == ["large.txt"]
    assert len(listener.said) == 1
    assert "large.txt: above 5000 bytes" in listener.said[0]


def test_a_large_file_with_a_bad_end_is_skipped_as_a_whole(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "corpus")
    (corpus / "large.txt").write_bytes(b"fine\n" * 2000 + b"\xff")
    manifest = _prepare(tmp_path / "out", corpus, large_file_bytes=5000)
    assert manifest["counts"]["skipped_unreadable"] == 1
    assert not any(identity.startswith("large.txt") for identity in _kept(tmp_path / "out"))


def test_many_documents_are_never_cut(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "corpus", 30)
    (corpus / "long.txt").write_text("a long line\n" * 10_000)
    listener = Listener()
    assert _prepare(tmp_path / "out", corpus, reporter=listener)["cut"] is None
    assert listener.said == []


def test_an_input_of_blanks_alone_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.txt").write_text("  \n")
    with pytest.raises(PalmettoError, match="holds no text"):
        _prepare(tmp_path / "out", tmp_path / "corpus")


def test_the_bars_count_bytes_to_their_end(tmp_path: Path) -> None:
    listener = Listener()
    _prepare(tmp_path / "out", _corpus(tmp_path / "corpus"), reporter=listener)
    assert listener.done.keys() == {"read text", "write documents"}
    assert all(total == done > 0 for total, done in listener.done.values())


def test_a_full_disk_is_reported_and_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    write = documents_module._write

    def fill(target: object, document: Document) -> None:
        nonlocal written
        written += 1
        if written > 50:  # 40 documents go into the working file, then the disk fills
            raise OSError(errno.ENOSPC, "No space left on device")
        write(target, document)

    monkeypatch.setattr(documents_module, "_write", fill)
    with pytest.raises(OSError, match="No space left") as caught:
        _prepare(tmp_path / "out", _corpus(tmp_path / "corpus"))
    assert caught.value.errno == errno.ENOSPC
    assert list((tmp_path / "out").iterdir()) == []


def test_an_interruption_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(target: object, document: Document) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(documents_module, "_write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        _prepare(tmp_path / "out", _corpus(tmp_path / "corpus"))
    assert list((tmp_path / "out").iterdir()) == []
