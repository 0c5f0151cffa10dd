"""The tokenizer as Hugging Face's `tokenizer.json` and `tokenizer_config.json`, written from the SentencePiece model.

Three differences between the two programs decide the form:
* SentencePiece writes a space as U+2581, and Palmetto sends that character of a text around it, as its three bytes.
  Here the vocabulary holds plain spaces instead, so U+2581 is a character it does not know and goes out as bytes
  by itself; there is no normaliser.
* SentencePiece merges the pair whose result has the best score, leftmost first; Hugging Face has a list of pairs. A
  piece gets one entry for every way to cut it in two known pieces, in the order of the pieces' scores.
* Hugging Face would find `[eod]` in a text; `split_special_tokens` forbids it.
"""

import re
from typing import Any

import sentencepiece

from palmetto.common.errors import PalmettoError
from palmetto.tokenizer.tokenizer import END_OF_DOCUMENT, SPACE_MARK, Tokenizer

_PROBE = "  a  ﬁ１\t x\n "


def tokenizer_files(
    model: bytes, sequence_length: int, name: str = "the tokenizer model"
) -> dict[str, dict[str, Any]]:
    """Return the content of `tokenizer.json` and `tokenizer_config.json`, by file name.

    Args:
        model: the SentencePiece model.
        sequence_length: tokens the language model takes.
        name: how errors call the tokenizer.

    Raises:
        PalmettoError: it was not made by Palmetto, or is no BPE model.
    """
    eod_id = Tokenizer(model, name).eod_id
    return {
        "tokenizer.json": tokenizer_json(model, name),
        "tokenizer_config.json": _tokenizer_config(eod_id, sequence_length),
    }


def tokenizer_json(model: bytes, name: str = "the tokenizer model") -> dict[str, Any]:
    """Return the content of `tokenizer.json`.

    Raises:
        PalmettoError: the model is not BPE, changes its text, or has pieces that Palmetto's training does not make.
    """
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    if processor.normalize(_PROBE) != _PROBE.replace(" ", SPACE_MARK):
        raise PalmettoError(
            f"{name} normalises its text or adds a prefix to it, which the exported form does not; use a tokenizer "
            "made by Palmetto."
        )
    vocabulary: dict[str, int] = {}
    ranked: list[str] = []
    unknown = ""
    for number in range(processor.get_piece_size()):
        piece = processor.id_to_piece(number)
        if processor.is_unknown(number):
            unknown = piece
        elif not processor.is_control(number) and not processor.is_byte(number):
            # BPE's scores are the ranks in which the pieces were learnt: 0, -1, -2 ...
            if processor.is_unused(number) or processor.get_score(number) != -len(ranked):
                raise PalmettoError(
                    f"{name} is not a BPE model as Palmetto trains it (piece {number} has score "
                    f"{processor.get_score(number)}); only tokenizer.model_type='bpe' can be exported exactly."
                )
            piece = piece.replace(SPACE_MARK, " ")
            ranked.append(piece)
        vocabulary[piece] = number
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": vocabulary[END_OF_DOCUMENT], "content": END_OF_DOCUMENT, **_SPECIAL},
        ],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                # The unknown token, which no text gives but a model may emit, reads as it does in Palmetto.
                {"type": "Replace", "pattern": {"Regex": rf"\A{re.escape(unknown)}\z"}, "content": "\ufffd"},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": unknown,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": _merges(ranked),
        },
    }


_SPECIAL = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


def _merges(ranked: list[str]) -> list[list[str]]:
    """Return the pairs to merge, first the piece learnt first.

    Among the cuts of one piece the longest left part comes first: in a run such as "aaaaa" SentencePiece, which goes
    from the left, leaves the odd character at the right.
    """
    known = set(ranked)
    return [
        [piece[:cut], piece[cut:]]
        for piece in ranked
        for cut in range(len(piece) - 1, 0, -1)
        if piece[:cut] in known and piece[cut:] in known
    ]


def _tokenizer_config(eod_id: int, sequence_length: int) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END_OF_DOCUMENT,
        "eos_token": END_OF_DOCUMENT,
        "pad_token": END_OF_DOCUMENT,
        "add_bos_token": False,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
        "padding_side": "left",
        "model_max_length": sequence_length,
        "added_tokens_decoder": {str(eod_id): {"content": END_OF_DOCUMENT, **_SPECIAL}},
    }
