"""Packing: the token files are the documents' tokens, in a seeded order, and every token has its document."""

import json
from pathlib import Path

import numpy as np
import pytest

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, read_json_lines, sha256_file
from palmetto.common.progress import Silent
from palmetto.corpus.config import CorpusConfig
from palmetto.corpus.documents import read_documents
from palmetto.corpus.pack import pack_corpus
from palmetto.corpus.prepare import prepare_documents
from palmetto.tokenizer.config import TokenizerConfig
from palmetto.tokenizer.tokenizer import Tokenizer
from palmetto.tokenizer.train import train_tokenizer

_LENGTH = 16


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("prepared")
    rows = [
        {"text": f"document {n} says: " + f"word{n} \u2581 été " * (n % 7 + 1), "source": f"s{n % 2}"}
        for n in range(60)
    ]
    (root / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / "documents").mkdir()
    config = CorpusConfig(text=(str(root / "in.jsonl"),), heldout_fraction=0.2)
    prepare_documents(config, root / "documents", Silent())
    return root / "documents"


@pytest.fixture(scope="module")
def tokenizer(prepared: Path) -> Tokenizer:
    out = prepared.with_name("tokenizer")
    out.mkdir()
    texts = (document.text for document in read_documents(prepared / "train.jsonl.gz"))
    train_tokenizer(texts, TokenizerConfig(vocab_size=300), out, Silent())
    return Tokenizer.load(out)


@pytest.fixture(scope="module")
def packed(prepared: Path, tokenizer: Tokenizer) -> Path:
    out = prepared.with_name("corpus")
    out.mkdir()
    pack_corpus(prepared, tokenizer, _LENGTH, out, Silent())
    return out


def _expected(prepared: Path, packed: Path, tokenizer: Tokenizer, split: str) -> list[int]:
    """Return the concatenation by the plain definition, in the order that the list of documents states."""
    texts = {document.id: document.text for document in read_documents(prepared / f"{split}.jsonl.gz")}
    rows = list(read_json_lines(packed / f"{split}.documents.jsonl.gz"))
    assert sorted(row["id"] for row in rows) == sorted(texts)
    return [token for row in rows for token in [*tokenizer.encode(texts[row["id"]]), tokenizer.eod_id]]


def test_the_train_file_is_the_concatenation_cut_to_whole_records(
    prepared: Path, packed: Path, tokenizer: Tokenizer
) -> None:
    expected = _expected(prepared, packed, tokenizer, "train")
    manifest = read_json(packed / "manifest.json")
    found = np.fromfile(packed / "train.tokens", "<u2")
    assert manifest["dtype"] == "uint16"
    assert len(found) == manifest["train_tokens"] == manifest["train_records"] * (_LENGTH + 1)
    assert found.tolist() == expected[: len(found)]
    assert 0 <= manifest["train_tokens_dropped"] == len(expected) - len(found) <= _LENGTH


def test_the_heldout_file_holds_every_token_in_the_order_of_ids(
    prepared: Path, packed: Path, tokenizer: Tokenizer
) -> None:
    manifest = read_json(packed / "manifest.json")
    found = np.fromfile(packed / "heldout.tokens", "<u2")
    assert found.tolist() == _expected(prepared, packed, tokenizer, "heldout")
    assert manifest["heldout_tokens"] == len(found)
    assert manifest["heldout_records"] == len(found) // (_LENGTH + 1)
    ids = [row["id"] for row in read_json_lines(packed / "heldout.documents.jsonl.gz")]
    assert ids == [document.id for document in read_documents(prepared / "heldout.jsonl.gz")]


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_each_documents_row_points_at_its_tokens(
    prepared: Path, packed: Path, tokenizer: Tokenizer, split: str
) -> None:
    documents = {document.id: document for document in read_documents(prepared / f"{split}.jsonl.gz")}
    concatenation = _expected(prepared, packed, tokenizer, split)
    for row in read_json_lines(packed / f"{split}.documents.jsonl.gz"):
        document = documents[row["id"]]
        tokens = concatenation[row["start"] : row["start"] + row["tokens"]]
        assert tokenizer.decode(tokens) == document.text
        assert tokens[-1] == tokenizer.eod_id
        assert tokens.count(tokenizer.eod_id) == 1
        assert row["bytes"] == len(document.text.encode())
        assert row["source"] == document.source


def test_the_manifest_ties_the_records_to_what_they_were_made_of(
    prepared: Path, packed: Path, tokenizer: Tokenizer
) -> None:
    manifest = read_json(packed / "manifest.json")
    assert manifest["tokenizer_sha256"] == tokenizer.sha256
    assert manifest["corpus_hash"] == read_json(prepared / "manifest.json")["corpus_hash"]
    assert manifest["sequence_length"] == _LENGTH
    assert manifest["record_length"] == _LENGTH + 1
    names = {path.name for path in packed.iterdir()} - {"manifest.json"}
    assert manifest["sha256"] == {name: sha256_file(packed / name) for name in names}
    assert (packed / "heldout.jsonl.gz").read_bytes() == (prepared / "heldout.jsonl.gz").read_bytes()
    everything = manifest["train_tokens"] + manifest["train_tokens_dropped"]
    assert manifest["bytes_per_token"] == manifest["train_bytes"] / everything


def test_two_packings_give_the_same_bytes(
    prepared: Path, packed: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    pack_corpus(prepared, tokenizer, _LENGTH, tmp_path, Silent())
    first, second = (
        {path.name: path.read_bytes() for path in folder.iterdir()} for folder in (packed, tmp_path)
    )
    assert first == second


def test_training_documents_are_shuffled_by_the_seed(
    prepared: Path, packed: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    pack_corpus(prepared, tokenizer, _LENGTH, tmp_path, Silent(), seed=1)
    orders = [
        [row["id"] for row in read_json_lines(folder / "train.documents.jsonl.gz")]
        for folder in (packed, tmp_path)
    ]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != sorted(orders[0])
    assert (packed / "heldout.tokens").read_bytes() == (tmp_path / "heldout.tokens").read_bytes()


def test_a_large_vocabulary_is_stored_in_four_bytes(
    prepared: Path, packed: Path, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "vocab_size", 65_537)
    manifest = pack_corpus(prepared, tokenizer, _LENGTH, tmp_path, Silent())
    assert manifest["dtype"] == "uint32"
    wide, narrow = np.fromfile(tmp_path / "train.tokens", "<u4"), np.fromfile(packed / "train.tokens", "<u2")
    assert np.array_equal(wide, narrow)


def test_too_little_text_for_one_record_names_the_sequence_length(
    prepared: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    with pytest.raises(PalmettoError, match=r"train documents give .* sequence_length=100000"):
        pack_corpus(prepared, tokenizer, 100_000, tmp_path, Silent())


def test_a_senseless_sequence_length_is_an_error(
    prepared: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    with pytest.raises(PalmettoError, match="sequence_length is 0"):
        pack_corpus(prepared, tokenizer, 0, tmp_path, Silent())


def test_documents_that_were_changed_are_refused(
    prepared: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    copy = tmp_path / "documents"
    copy.mkdir()
    for path in prepared.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "train.jsonl.gz").write_bytes((prepared / "train.jsonl.gz").read_bytes()[:-1])
    (tmp_path / "out").mkdir()
    with pytest.raises(PalmettoError, match=r"train\.jsonl\.gz is missing or not the file"):
        pack_corpus(copy, tokenizer, _LENGTH, tmp_path / "out", Silent())


def test_packing_leaves_no_working_files_and_prints_nothing(
    prepared: Path, tokenizer: Tokenizer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pack_corpus(prepared, tokenizer, _LENGTH, tmp_path, Silent())
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    assert not any(path.name.startswith(".") for path in tmp_path.iterdir())
