"""What a trained tokenizer promises about every text."""

import pickle
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmetto.common.errors import PalmettoError
from palmetto.common.progress import Silent
from palmetto.tokenizer.config import TokenizerConfig
from palmetto.tokenizer.tokenizer import Tokenizer
from palmetto.tokenizer.train import train_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tokenizer")
    draw = random.Random(0)
    words = ["def", "return", "self", "value", "x1", "20", "été", "名前", "print(", ")", "#"]
    words += ["".join(draw.choices("abcdefgh", k=5)) for _ in range(40)]
    lines = ["    " * draw.randrange(4) + " ".join(draw.choices(words, k=6)) for _ in range(800)]
    documents = ["):\n".join(lines[start : start + 20]) + "\n\n" for start in range(0, 800, 20)]
    train_tokenizer(documents, TokenizerConfig(vocab_size=420), out, Silent())
    return out


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.load(folder)


# Pieces of text that SentencePiece itself treats specially, mixed with any character that UTF-8 can encode.
_SPECIAL = st.sampled_from(
    [
        "\u2581",
        "\u2585",
        "\u2047",
        "\0",
        "[eod]",
        "<unk>",
        "<0x41>",
        "  ",
        "\n\n",
        "\r\n",
        "\t",
        "\ufeff",
        "12",
    ]
)
_TEXTS = st.text() | st.lists(_SPECIAL | st.text(max_size=4)).map("".join)


@given(_TEXTS)
@settings(max_examples=400, deadline=None)
def test_every_text_comes_back_exactly(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(_TEXTS)
@settings(max_examples=200, deadline=None)
def test_no_text_yields_the_end_of_document(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text + "[eod]")
    assert tokenizer.eod_id not in ids
    assert all(0 <= number < tokenizer.vocab_size for number in ids)


@given(st.lists(_TEXTS, max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_batch_is_encoded_as_its_texts_alone(tokenizer: Tokenizer, texts: list[str]) -> None:
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(text) for text in texts]


@given(st.lists(st.integers(0, 419), max_size=30))
@settings(max_examples=200, deadline=None)
def test_any_tokens_decode_to_text_that_utf8_can_encode(tokenizer: Tokenizer, ids: list[int]) -> None:
    tokenizer.decode(ids).encode()


@given(st.integers(0, 10**12), st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_every_digit_is_its_own_token(tokenizer: Tokenizer, whole: int, part: int) -> None:
    text = f"x{whole}.{part} {whole}"
    pieces = [tokenizer.decode([number]) for number in tokenizer.encode(text)]
    assert [piece for piece in pieces if any(c.isdigit() for c in piece)] == [c for c in text if c.isdigit()]


def test_the_papers_example_number_is_split_as_in_the_paper(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("123.5")
    assert [tokenizer.decode([number]) for number in ids] == ["1", "2", "3", ".", "5"]


def test_no_vocabulary_entry_holds_a_digit_and_more(tokenizer: Tokenizer) -> None:
    pieces = [tokenizer.piece(number) for number in range(tokenizer.vocab_size)]
    with_digit = [
        piece for piece in pieces if any(c.isdigit() for c in piece) and not piece.startswith("<0x")
    ]
    assert sorted(with_digit) == list("0123456789")


def test_the_space_mark_goes_out_as_its_three_bytes(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("\u2581")
    assert [tokenizer.piece(number) for number in ids] == ["<0xE2>", "<0x96>", "<0x81>"]


def test_end_of_document_decodes_to_nothing(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode([*tokenizer.encode("a"), tokenizer.eod_id, *tokenizer.encode(" b")]) == "a b"


def test_bytes_that_are_no_text_decode_to_the_replacement_character(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("\u2581")[:1]) == "\ufffd"


def test_an_array_of_ids_decodes_as_a_list(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("return self")
    assert tokenizer.decode(np.array(ids, np.uint16)) == "return self"


def test_line_ends_and_runs_of_blanks_are_learnt(tokenizer: Tokenizer) -> None:
    pieces = [tokenizer.piece(number) for number in range(tokenizer.vocab_size)]
    assert any("\n" in piece and piece != "\n" for piece in pieces)
    assert "\u2581" * 4 in pieces


def test_a_lone_surrogate_is_a_clear_error(tokenizer: Tokenizer) -> None:
    with pytest.raises(PalmettoError, match=r"U\+D800 at character 2.*UTF-8"):
        tokenizer.encode("ab\ud800")
    with pytest.raises(PalmettoError, match="surrogate"):
        tokenizer.encode_batch(["fine", "\u2581\udfff"])


def test_an_id_outside_the_vocabulary_is_a_clear_error(tokenizer: Tokenizer) -> None:
    with pytest.raises(PalmettoError, match="420 tokens"):
        tokenizer.decode([420])
    with pytest.raises(PalmettoError, match="420 tokens"):
        tokenizer.decode([-1])


def test_a_tokenizer_survives_pickling(tokenizer: Tokenizer) -> None:
    again = pickle.loads(pickle.dumps(tokenizer))
    assert again.encode("return \u2581 value") == tokenizer.encode("return \u2581 value")
    assert (again.eod_id, again.sha256) == (tokenizer.eod_id, tokenizer.sha256)


def test_a_model_loads_from_its_file_or_its_folder(folder: Path) -> None:
    assert Tokenizer.load(folder).sha256 == Tokenizer.load(folder / "tokenizer.model").sha256


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(PalmettoError, match=r"tokenizer\.model does not exist"):
        Tokenizer.load(tmp_path)


def test_a_damaged_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"\x00\x01 not a model")
    with pytest.raises(PalmettoError, match=r"tokenizer\.model.*damaged"):
        Tokenizer.load(tmp_path)


def test_a_model_that_differs_from_its_manifest_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes((folder / "tokenizer.model").read_bytes())
    (tmp_path / "manifest.json").write_text('{"sha256": "0"}')
    with pytest.raises(PalmettoError, match="not the file that"):
        Tokenizer.load(tmp_path)


def test_a_model_made_elsewhere_is_refused(tmp_path: Path) -> None:
    import sentencepiece

    with (tmp_path / "other.model").open("wb") as stream:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b c d e f"] * 9), model_writer=stream, vocab_size=11, minloglevel=2
        )
    with pytest.raises(PalmettoError, match=r"no control token \[eod\]"):
        Tokenizer.load(tmp_path / "other.model")
