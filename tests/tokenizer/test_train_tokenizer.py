"""What tokenizer training promises: equal bytes from equal documents, and errors that say what to do."""

import random
from pathlib import Path

import pytest

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, sha256_file
from palmetto.common.progress import Silent
from palmetto.tokenizer.config import TokenizerConfig
from palmetto.tokenizer.tokenizer import Tokenizer
from palmetto.tokenizer.train import train_tokenizer

_SMALL = TokenizerConfig(vocab_size=330)


def _documents(count: int = 40, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefgh", k=draw.randint(2, 7))) for _ in range(60)]
    return [" ".join(draw.choices(words, k=60)) + "\n" for _ in range(count)]


def _train(out: Path, documents: list[str], config: TokenizerConfig = _SMALL) -> dict:
    out.mkdir()
    return train_tokenizer(documents, config, out, Silent())


def test_two_trainings_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        _train(tmp_path / name, _documents())
    for file in ("tokenizer.model", "manifest.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_order_of_documents_does_not_matter(tmp_path: Path) -> None:
    config = TokenizerConfig(vocab_size=320, max_training_bytes=6000)
    forward = _train(tmp_path / "one", _documents(), config)
    backward = _train(tmp_path / "two", _documents()[::-1], config)
    assert forward == backward


def test_the_sample_keeps_to_its_budget_and_follows_the_seed(tmp_path: Path) -> None:
    manifests = [
        _train(
            tmp_path / str(seed),
            _documents(),
            TokenizerConfig(vocab_size=310, max_training_bytes=5000, seed=seed),
        )
        for seed in (0, 1)
    ]
    assert [manifest["training_bytes"] for manifest in manifests] == [5000, 5000]
    assert manifests[0]["sha256"] != manifests[1]["sha256"]


def test_one_document_above_the_budget_is_cut_not_dropped(tmp_path: Path) -> None:
    manifest = _train(
        tmp_path / "out", ["é".join(_documents())], TokenizerConfig(vocab_size=310, max_training_bytes=4001)
    )
    assert manifest["training_documents"] == 1
    assert 4000 <= manifest["training_bytes"] <= 4001


def test_the_manifest_describes_the_model(tmp_path: Path) -> None:
    documents = _documents()
    manifest = _train(tmp_path / "out", documents)
    assert manifest == read_json(tmp_path / "out" / "manifest.json")
    assert manifest["sha256"] == sha256_file(tmp_path / "out" / "tokenizer.model")
    assert manifest["vocab_size"] == 330
    assert manifest["training_documents"] == len(documents)
    size = sum(len(text.encode()) for text in documents)
    assert manifest["training_bytes"] == size
    tokenizer = Tokenizer.load(tmp_path / "out")
    assert manifest["bytes_per_token"] == size / sum(len(tokenizer.encode(text)) for text in documents)


def test_a_document_with_a_reserved_character_is_learnt_too(tmp_path: Path) -> None:
    # SentencePiece drops every text with U+2585 without a word, and takes U+2581 for a space.
    documents = [*_documents(10), "qzqz jvjv\u2585wywy qzqz\u2581jvjv " * 300]
    _train(tmp_path / "out", documents)
    tokenizer = Tokenizer.load(tmp_path / "out")
    pieces = [tokenizer.piece(number) for number in range(tokenizer.vocab_size)]
    assert any("qzqz" in piece for piece in pieces)
    assert not any("zjv" in piece or "z\u2581" in piece for piece in pieces)


def test_a_document_far_above_sentencepieces_default_length_is_learnt(tmp_path: Path) -> None:
    _train(tmp_path / "out", [*_documents(10), "qzqz jvjv " * 3000])
    tokenizer = Tokenizer.load(tmp_path / "out")
    assert any("qzqz" in tokenizer.piece(number) for number in range(tokenizer.vocab_size))


def test_a_long_text_without_a_space_trains_and_comes_back(tmp_path: Path) -> None:
    text = "".join(random.Random(1).choices("abcdefgh", k=100_000))
    _train(tmp_path / "out", [text])
    tokenizer = Tokenizer.load(tmp_path / "out")
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_nul_and_control_characters_in_training_text_do_no_harm(tmp_path: Path) -> None:
    _train(tmp_path / "out", [*_documents(), "\0\x01\x02 a\0b\r\n\t"])
    tokenizer = Tokenizer.load(tmp_path / "out")
    assert tokenizer.decode(tokenizer.encode("a\0\x01\t\r\n")) == "a\0\x01\t\r\n"


def test_digits_have_tokens_even_when_the_text_has_none(tmp_path: Path) -> None:
    _train(tmp_path / "out", _documents())
    tokenizer = Tokenizer.load(tmp_path / "out")
    assert [tokenizer.piece(number) for number in tokenizer.encode("0x9")] == ["0", "<0x78>", "9"]


def test_unigram_keeps_the_same_promises(tmp_path: Path) -> None:
    _train(tmp_path / "out", _documents(), TokenizerConfig(vocab_size=330, model_type="unigram"))
    tokenizer = Tokenizer.load(tmp_path / "out")
    text = "  ab\u2581 12\n\n\tÿ[eod]"
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.eod_id not in ids


def test_too_little_text_for_the_vocabulary_names_both(tmp_path: Path) -> None:
    with pytest.raises(PalmettoError, match=r"vocab_size=4096.*at most \d+ or give more text"):
        _train(tmp_path / "out", _documents(2), TokenizerConfig(vocab_size=4096))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_vocabulary_too_small_for_bytes_and_characters_names_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(
        PalmettoError, match=r"vocab_size=100 is too small.*need \d+ tokens.*character_coverage"
    ):
        _train(tmp_path / "out", _documents(), TokenizerConfig(vocab_size=100))


@pytest.mark.parametrize("documents", [[], [""], ["  \n", "\t"]])
def test_no_text_is_a_clear_error(tmp_path: Path, documents: list[str]) -> None:
    with pytest.raises(PalmettoError, match="no text to train"):
        _train(tmp_path / "out", documents)


def test_reserved_characters_alone_are_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(PalmettoError, match="vocab_size=330"):
        _train(tmp_path / "out", ["\u2581\u2581"])


def test_a_lone_surrogate_in_training_text_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(PalmettoError, match="lone surrogate"):
        _train(tmp_path / "out", ["a\ud800"])


@pytest.mark.parametrize(
    "field",
    [{"vocab_size": 0}, {"character_coverage": 0.0}, {"character_coverage": 1.5}, {"max_training_bytes": 0}],
)
def test_a_senseless_choice_names_its_field(field: dict) -> None:
    with pytest.raises(PalmettoError, match=next(iter(field))):
        TokenizerConfig(**field)


def test_training_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _train(tmp_path / "out", _documents())
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
