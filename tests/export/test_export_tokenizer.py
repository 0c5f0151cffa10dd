"""The exported tokenizer gives the tokens that Palmetto's gives, for any text.

Two readers of `tokenizer.json` are asked: a plain one written here from the format's description, and, where it is
installed, the `tokenizers` package.
"""

import importlib.util
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from export_models import tokenizer_model
from hypothesis import example, given, settings
from hypothesis import strategies as st

from palmetto.common.errors import PalmettoError
from palmetto.export.tokenizer_files import tokenizer_files, tokenizer_json
from palmetto.tokenizer.tokenizer import Tokenizer

OURS = Tokenizer(tokenizer_model())
Encode = Callable[[str], list[int]]
Decode = Callable[[list[int]], str]


def plain_reader(content: dict[str, Any]) -> tuple[Encode, Decode]:
    """BPE as Hugging Face defines it: always the pair that is listed first, the leftmost of equals."""
    vocabulary, merges = content["model"]["vocab"], content["model"]["merges"]
    ranks = {(left, right): rank for rank, (left, right) in enumerate(merges)}
    names = {number: piece for piece, number in vocabulary.items()}

    def encode(text: str) -> list[int]:
        pieces: list[str] = []
        for character in text:
            known = character in vocabulary
            pieces += [character] if known else [f"<0x{byte:02X}>" for byte in character.encode()]
        while True:
            pairs = [(ranks.get(pair, len(ranks)), place) for place, pair in enumerate(pairwise(pieces))]
            rank, place = min(pairs, default=(len(ranks), 0))
            if rank == len(ranks):
                return [vocabulary[piece] for piece in pieces]
            pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]

    def decode(ids: list[int]) -> str:
        special = {entry["id"] for entry in content["added_tokens"] if entry["special"]}
        data = b""
        for piece in (names[number] for number in ids if number not in special):
            data += (
                bytes([int(piece[1:-1], 16)])
                if len(piece) == 6 and piece.startswith("<0x")
                else piece.encode()
            )
        return data.decode()

    return encode, decode


def package_reader(content: dict[str, Any]) -> tuple[Encode, Decode]:
    """The `tokenizers` package, told as `split_special_tokens` tells it that `[eod]` in a text is text."""
    from tokenizers import Tokenizer as Package

    package = Package.from_str(json.dumps(content))
    package.encode_special_tokens = True
    return lambda text: package.encode(text).ids, package.decode


READERS = [plain_reader] + ([package_reader] if importlib.util.find_spec("tokenizers") else [])


@pytest.fixture(scope="module", params=READERS, ids=lambda reader: reader.__name__)
def reader(request: pytest.FixtureRequest) -> tuple[Encode, Decode]:
    return request.param(tokenizer_json(tokenizer_model()))


# fmt: off
PARTS = st.sampled_from([
    "bar", "ten ", "Ko", "k", " ", "  ", "\n", "\n\n", "\t", "\r\n", "7", "2024", "▁", "▁▁", "<0x0A>", "[eod]", "<unk>",
    "é", "e\u0301", "漢", "😀", "👩\u200d👩\u200d👧", "\x00", "\u2585", "\ufeff", "ﬁ", "mally" * 5, "n" * 9, " " * 40,
])
# fmt: on
TEXTS = st.one_of(st.text(), st.lists(PARTS, max_size=12).map("".join))


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
@example("")
@example("▁ ▁")
@example("[eod][eod] <0x41>")
def test_any_text_has_the_same_tokens_and_comes_back(reader: tuple[Encode, Decode], text: str) -> None:
    encode, decode = reader
    tokens = OURS.encode(text)
    assert encode(text) == tokens
    assert decode(tokens) == text == OURS.decode(tokens)


def test_the_end_of_a_document_gives_no_text(reader: tuple[Encode, Decode]) -> None:
    _, decode = reader
    assert decode([*OURS.encode("ten"), OURS.eod_id]) == "ten"


def test_nothing_is_added_to_a_text() -> None:
    files = tokenizer_files(tokenizer_model(), 32)
    config = files["tokenizer_config.json"]
    assert files["tokenizer.json"]["post_processor"] is None
    assert not config["add_bos_token"]
    assert not config["add_eos_token"]
    assert config["split_special_tokens"]
    assert {config[name] for name in ("bos_token", "eos_token", "pad_token")} == {"[eod]"}


def test_every_token_keeps_its_number() -> None:
    vocabulary = tokenizer_json(tokenizer_model())["model"]["vocab"]
    assert [piece.replace(" ", "▁") for piece in vocabulary] == [
        OURS.piece(token) for token in range(OURS.vocab_size)
    ]
    assert list(vocabulary.values()) == list(range(OURS.vocab_size))


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (tokenizer_model("unigram"), "not a BPE model"),
        (tokenizer_model(add_dummy_prefix=True), "adds a prefix"),
        (tokenizer_model(remove_extra_whitespaces=True), "normalises"),
        (tokenizer_model(normalization_rule_name="nmt_nfkc"), "normalises"),
        (tokenizer_model(user_defined_symbols=("bar",)), "not a BPE model"),
    ],
    ids=["unigram", "prefix", "whitespace", "unicode", "user-symbols"],
)
def test_a_tokenizer_that_would_not_be_the_same_is_refused(model: bytes, complaint: str) -> None:
    with pytest.raises(PalmettoError, match=complaint):
        tokenizer_json(model)
