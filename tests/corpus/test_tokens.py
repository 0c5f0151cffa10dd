"""Imported tokens give the corpus that packing gives: against the stream itself and against `pack_corpus`."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, read_json_lines, sha256_file
from palmetto.common.progress import Silent
from palmetto.corpus.config import CorpusConfig
from palmetto.corpus.documents import read_documents
from palmetto.corpus.pack import pack_corpus
from palmetto.corpus.prepare import prepare_documents
from palmetto.corpus.records import PackedRecords
from palmetto.corpus.tokens import TokensConfig, import_tokens
from palmetto.tokenizer.config import TokenizerConfig
from palmetto.tokenizer.tokenizer import Tokenizer
from palmetto.tokenizer.train import train_tokenizer

LENGTH = 16
TEXTS = [f"number {n}: " + f"word{n} \u2581 été 漢 <0x0A>\n" * (n % 7 + 1) for n in range(60)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens")


@pytest.fixture(scope="module")
def tokenizer(root: Path) -> Tokenizer:
    (root / "tokenizer").mkdir()
    train_tokenizer(TEXTS, TokenizerConfig(vocab_size=300), root / "tokenizer", Silent())
    return Tokenizer.load(root / "tokenizer")


@pytest.fixture(scope="module")
def stream(tokenizer: Tokenizer) -> np.ndarray:
    """Sixty documents, each ended by `[eod]`."""
    return np.array([token for text in TEXTS for token in [*tokenizer.encode(text), tokenizer.eod_id]])


class Said(Silent):
    """Remembers the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def imported(folder: Path, tokenizer: Tokenizer, *shards: Path, **choices: object) -> Path:
    out = folder / f"corpus{len(list(folder.glob('corpus*')))}"
    out.mkdir()
    config = TokensConfig(tuple(map(str, shards)), **{"sequence_length": LENGTH, **choices})
    import_tokens(config, tokenizer, out, Silent())
    return out


def saved(path: Path, tokens: np.ndarray) -> Path:
    if path.suffix == ".npy":
        np.save(path, tokens)
    else:
        tokens.tofile(path)
    return path


def documents_of(corpus: Path, split: str) -> list[tuple[str, list[int], int]]:
    """Return each document's id, tokens and bytes, by the list of documents."""
    tokens = np.fromfile(corpus / f"{split}.tokens", "<u2").tolist()
    rows = list(read_json_lines(corpus / f"{split}.documents.jsonl.gz"))
    return [(row["id"], tokens[row["start"] : row["start"] + row["tokens"]], row["bytes"]) for row in rows]


def test_documents_of_both_sides_are_those_of_the_stream(
    tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray
) -> None:
    corpus = imported(tmp_path, tokenizer, saved(tmp_path / "a.npy", stream), heldout_fraction=0.3)
    train, heldout = documents_of(corpus, "train"), documents_of(corpus, "heldout")
    assert len(train) + len(heldout) == len(TEXTS)
    for split in (train, heldout):
        assert [identity for identity, _, _ in split] == sorted(identity for identity, _, _ in split)
        for identity, tokens, size in split[:-1]:  # The last training document loses what no record holds.
            text = TEXTS[int(identity.split(":")[1])]
            assert tokens == [*tokenizer.encode(text), tokenizer.eod_id]
            assert size == len(text.encode())


def test_the_heldout_texts_are_the_decoded_documents(
    tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray
) -> None:
    corpus = imported(tmp_path, tokenizer, saved(tmp_path / "a.npy", stream), heldout_fraction=0.3)
    texts = [document.text for document in read_documents(corpus / "heldout.jsonl.gz")]
    numbers = [int(identity.split(":")[1]) for identity, _, _ in documents_of(corpus, "heldout")]
    assert texts == [TEXTS[number] for number in numbers]


def test_counts_are_those_that_packing_the_same_text_gives(root: Path, tokenizer: Tokenizer) -> None:
    """Oracle: `pack_corpus`. Its training tokens, imported, give the same records in the same order."""
    (root / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    for name in ("documents", "packed"):
        (root / name).mkdir()
    config = CorpusConfig(text=(str(root / "in.jsonl"),), heldout_fraction=0.2)
    prepare_documents(config, root / "documents", Silent())
    packed = pack_corpus(root / "documents", tokenizer, LENGTH, root / "packed", Silent())
    texts = {document.id: document.text for document in read_documents(root / "documents" / "train.jsonl.gz")}
    order = [row["id"] for row in read_json_lines(root / "packed" / "train.documents.jsonl.gz")]
    train = [token for name in order for token in [*tokenizer.encode(texts[name]), tokenizer.eod_id]]
    heldout = np.fromfile(root / "packed" / "heldout.tokens", "<u2").tolist()
    shard = saved(root / "all.npy", np.array(train + heldout))

    corpus = imported(
        root, tokenizer, shard, split="tail", heldout_fraction=len(heldout) / (len(train) + len(heldout))
    )
    manifest = read_json(corpus / "manifest.json")
    for name in ("train", "heldout"):
        assert (corpus / f"{name}.tokens").read_bytes() == (root / "packed" / f"{name}.tokens").read_bytes()
        for field in ("documents", "records", "tokens", "tokens_dropped", "bytes"):
            assert manifest[f"{name}_{field}"] == packed[f"{name}_{field}"]
    assert manifest["bytes_per_token"] == packed["bytes_per_token"]
    assert set(packed) <= set(manifest)


def test_records_open_and_their_hashes_hold(tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray) -> None:
    corpus = imported(tmp_path, tokenizer, saved(tmp_path / "a.npy", stream))
    manifest = read_json(corpus / "manifest.json")
    for split in ("train", "heldout"):
        records = PackedRecords(corpus, split)
        records.verify()
        assert len(records) == manifest[f"{split}_records"] > 0
        assert records[0].shape == (LENGTH + 1,)
    assert manifest["tokenizer_sha256"] == tokenizer.sha256


@pytest.mark.parametrize("dtype", ["<u2", "<u4", "<i4", "<i8", ">u2"])
def test_the_file_s_form_does_not_change_the_corpus(
    tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray, dtype: str
) -> None:
    expected = imported(tmp_path, tokenizer, saved(tmp_path / "a.npy", stream))
    other = imported(tmp_path, tokenizer, saved(tmp_path / "b.npy", stream.astype(dtype)))
    assert (other / "train.tokens").read_bytes() == (expected / "train.tokens").read_bytes()
    assert (
        read_json(other / "manifest.json")["corpus_hash"]
        == read_json(expected / "manifest.json")["corpus_hash"]
    )


@pytest.mark.parametrize(("dtype", "choice"), [("<u2", "auto"), ("<u2", "uint16"), ("<u4", "uint32")])
def test_flat_binaries_give_the_same_corpus(
    tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray, dtype: str, choice: str
) -> None:
    expected = imported(tmp_path, tokenizer, saved(tmp_path / "a.npy", stream))
    other = imported(tmp_path, tokenizer, saved(tmp_path / "a.bin", stream.astype(dtype)), bin_dtype=choice)
    assert (other / "train.tokens").read_bytes() == (expected / "train.tokens").read_bytes()


def test_what_auto_took_for_binaries_is_said(
    tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray
) -> None:
    said = Said()
    config = TokensConfig((str(saved(tmp_path / "a.bin", stream.astype("<u2"))),), sequence_length=LENGTH)
    (tmp_path / "out").mkdir()
    import_tokens(config, tokenizer, tmp_path / "out", said)
    assert any("read as uint16" in line for line in said.lines)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 1400), max_size=4, unique=True))
def test_how_the_stream_is_cut_into_files_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer, stream: np.ndarray, cuts: list[int]
) -> None:
    """A document may lie across files."""
    folder = tmp_path_factory.mktemp("cut")
    whole = imported(folder, tokenizer, saved(folder / "whole.npy", stream))
    (folder / "parts").mkdir()
    for number, part in enumerate(np.split(stream, sorted(cut for cut in cuts if cut < len(stream)))):
        saved(folder / "parts" / f"{number:02}.npy", part)
    parts = imported(folder, tokenizer, folder / "parts")
    for name in ("train.tokens", "heldout.tokens"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()
    hashes = [read_json(corpus / "manifest.json")["corpus_hash"] for corpus in (whole, parts)]
    assert hashes[0] == hashes[1]


def test_equal_documents_stay_on_one_side(tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray) -> None:
    twice = np.concatenate([stream, stream])
    corpus = imported(tmp_path, tokenizer, saved(tmp_path / "a.npy", twice), heldout_fraction=0.3)
    train, heldout = (
        {tuple(tokens) for _, tokens, _ in documents_of(corpus, split)[:-1]} for split in ("train", "heldout")
    )
    assert train and heldout and not train & heldout


def test_the_seed_decides_which_documents_are_held_out(
    tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray
) -> None:
    shard = saved(tmp_path / "a.npy", stream)
    chosen = [
        [
            identity
            for identity, _, _ in documents_of(
                imported(tmp_path, tokenizer, shard, seed=seed, heldout_fraction=0.3), "heldout"
            )
        ]
        for seed in (0, 0, 1)
    ]
    assert chosen[0] == chosen[1] != chosen[2]


def test_the_tail_is_whole_documents(tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray) -> None:
    corpus = imported(
        tmp_path, tokenizer, saved(tmp_path / "a.npy", stream), split="tail", heldout_fraction=0.1
    )
    heldout = np.fromfile(corpus / "heldout.tokens", "<u2")
    np.testing.assert_array_equal(heldout, stream[len(stream) - len(heldout) :])
    assert stream[len(stream) - len(heldout) - 1] == tokenizer.eod_id
    assert len(heldout) <= 0.1 * len(stream)


@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_become_the_records_they_are(
    tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray, order: str
) -> None:
    count = len(stream) // (LENGTH + 1)
    rows = np.asarray(stream[: count * (LENGTH + 1)].reshape(count, LENGTH + 1), "<u2", order=order)
    corpus = imported(tmp_path, tokenizer, saved(tmp_path / "rows.npy", rows), sequence_length=None)
    both = [PackedRecords(corpus, split).array for split in ("train", "heldout")]
    np.testing.assert_array_equal(np.concatenate(both), rows)
    assert read_json(corpus / "manifest.json")["sequence_length"] == LENGTH
    sizes = [size for split in ("train", "heldout") for _, _, size in documents_of(corpus, split)]
    assert abs(sum(sizes) - sum(len(text.encode()) for text in TEXTS)) < 60  # What the last, cut record held.


def test_a_stream_without_document_ends_is_told_and_recorded(
    tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray
) -> None:
    said = Said()
    shard = saved(tmp_path / "a.npy", stream[stream != tokenizer.eod_id])
    (tmp_path / "out").mkdir()
    manifest = import_tokens(
        TokensConfig((str(shard),), sequence_length=LENGTH), tokenizer, tmp_path / "out", said
    )
    assert any("do not show documents" in line for line in said.lines)
    assert "unknown" in manifest["input"]["documents"]
    assert manifest["split"]["kind"] == "tail"
    # Bytes are counted by token, so cutting inside a character loses none: `word \u2581 é 漢` all come out.
    total = sum(len(text.encode()) for text in TEXTS)
    assert manifest["train_bytes"] + manifest["heldout_bytes"] == total
    with pytest.raises(PalmettoError, match=r"documents are unknown; set it to tail"):
        imported(tmp_path, tokenizer, shard, split="documents")


def test_the_manifest_says_where_the_tokens_come_from(
    tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray
) -> None:
    shard = saved(tmp_path / "a.npy", stream.astype("<u2"))
    manifest = read_json(imported(tmp_path, tokenizer, shard) / "manifest.json")
    assert manifest["input"]["shards"] == [
        {
            "path": str(shard),
            "bytes": shard.stat().st_size,
            "sha256": sha256_file(shard),
            "dtype": "uint16",
            "shape": [len(stream)],
        }
    ]


def test_an_id_outside_the_vocabulary_is_named_with_its_file_and_place(
    tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray
) -> None:
    wrong = stream.copy()
    wrong[1017] = 300
    wrong[1300] = 9999
    good, bad = saved(tmp_path / "good.npy", stream), saved(tmp_path / "bad.npy", wrong)
    with pytest.raises(PalmettoError, match=r"bad\.npy: token 1,017 \(from 0\) is 300, .* 0 \.\. 299;"):
        imported(tmp_path, tokenizer, good, bad)


def test_a_negative_id_is_outside_too(tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray) -> None:
    wrong = stream.copy()
    wrong[3] = -1
    with pytest.raises(PalmettoError, match=r"token 3 .* is -1"):
        imported(tmp_path, tokenizer, saved(tmp_path / "bad.npy", wrong))


def test_32_bit_integers_read_as_16_bit_ones_are_noticed(
    tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray
) -> None:
    with pytest.raises(PalmettoError, match=r"looks like 32-bit.*bin_dtype"):
        imported(tmp_path, tokenizer, saved(tmp_path / "a.bin", stream.astype("<u4")))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.npy", None, "does not exist"),
        ("a.txt", b"text", r"not a \.npy or \.bin"),
        ("a.npy", b"not numpy", "not a readable"),
        ("a.npy", np.zeros(9, np.float32), "array of float32"),
        ("a.npy", np.zeros((2, 2, 2), np.uint16), r"shape \[2, 2, 2\]"),
        ("a.npy", np.zeros(0, np.uint16), "holds no tokens"),
        ("a.bin", b"", "holds no tokens"),
        ("a.bin", b"123", "not a whole number of uint16"),
    ],
)
def test_files_that_hold_no_tokens_are_refused(
    tmp_path: Path, tokenizer: Tokenizer, name: str, content: object, said: str
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(PalmettoError, match=rf"{path}.*{said}"):
        imported(tmp_path, tokenizer, path)


def test_an_empty_folder_and_a_shard_given_twice_are_refused(
    tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PalmettoError, match=r"holds no \.npy or \.bin"):
        imported(tmp_path, tokenizer, tmp_path / "empty")
    shard = saved(tmp_path / "a.npy", stream)
    with pytest.raises(PalmettoError, match="each shard once"):
        imported(tmp_path, tokenizer, shard, shard)


def test_shapes_that_do_not_fit_are_refused(tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray) -> None:
    flat = saved(tmp_path / "flat.npy", stream)
    rows = saved(tmp_path / "rows.npy", stream[:170].reshape(10, 17))
    with pytest.raises(PalmettoError, match="differ in shape"):
        imported(tmp_path, tokenizer, flat, rows)
    with pytest.raises(PalmettoError, match=r"rows of 17 tokens.*set sequence_length to 16"):
        imported(tmp_path, tokenizer, rows, sequence_length=32)
    with pytest.raises(PalmettoError, match=r"is flat.*give sequence_length"):
        imported(tmp_path, tokenizer, flat, sequence_length=None)


def test_too_few_tokens_for_a_record_are_refused(
    tmp_path: Path, tokenizer: Tokenizer, stream: np.ndarray
) -> None:
    with pytest.raises(PalmettoError, match=r"side has .* too few for one record of sequence_length=10000"):
        imported(tmp_path, tokenizer, saved(tmp_path / "a.npy", stream), sequence_length=10_000)


@pytest.mark.parametrize(
    "choices", [{"shards": ()}, {"sequence_length": 0}, {"heldout_fraction": 0.0}, {"heldout_fraction": 1.0}]
)
def test_choices_out_of_range_are_refused(choices: dict) -> None:
    with pytest.raises(PalmettoError, match=next(iter(choices))):
        TokensConfig(**{"shards": ("a",), **choices})
