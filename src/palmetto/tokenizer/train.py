"""Train the tokenizer as section 2 of the PaLM paper describes its vocabulary.

The paper's promises and the SentencePiece options that keep them:
* reversible, whitespace fully kept: no normalisation, no dummy prefix, no removal of blanks, pieces of blanks
  alone
* unknown characters become UTF-8 bytes, one token a byte: byte fallback
* numbers are split into digits: split digits
"""

import heapq
import io
import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import sentencepiece

from palmetto.common.errors import PalmettoError
from palmetto.common.files import atomic_path, write_json
from palmetto.common.progress import Reporter
from palmetto.tokenizer.config import TokenizerConfig
from palmetto.tokenizer.tokenizer import END_OF_DOCUMENT, MODEL_NAME, SPACE_MARK, Tokenizer

FORMAT = 1
# Two characters that SentencePiece keeps for itself. The first is its space mark: learning it would teach
# wrong counts of spaces. A text with the second is dropped from training without a word. So texts are cut at
# both.
_RESERVED = re.compile(f"[{SPACE_MARK}\u2585]")


def train_tokenizer(
    documents: Iterable[str], config: TokenizerConfig, out: Path, reporter: Reporter
) -> dict[str, Any]:
    """Train a tokenizer on a sample of `documents`; write `tokenizer.model` and `manifest.json` into `out`.

    The result is a function of the documents' texts and `config` alone: not of the documents' order, the
    number of processors, or the time. `out` is an existing folder.

    Args:
        documents: texts of the training documents, streamed once; whole, so that line ends are learnt too.
        config: what to train.
        out: folder to write into.
        reporter: told the bytes read and learnt.

    Returns:
        The manifest: "format", "vocab_size", "model_type", "sha256", "training_documents", "training_bytes",
        "bytes_per_token" (on the training sample), "flags" (the SentencePiece options), "config".

    Raises:
        PalmettoError: there is no text, it is too little for `vocab_size`, or `vocab_size` is too small for
        it.
    """
    sample = _sample(documents, config, reporter)
    flags = _flags(config, longest=max(map(_utf8_length, sample), default=0))
    model = _train(sample, flags, config, reporter)
    with atomic_path(out / MODEL_NAME) as temporary:
        temporary.write_bytes(model)
    tokenizer = Tokenizer(model)
    training_bytes = sum(map(_utf8_length, sample))
    tokens = sum(len(tokenizer.encode(text)) for text in sample)
    manifest = {
        "format": FORMAT,
        "vocab_size": tokenizer.vocab_size,
        "model_type": config.model_type,
        "sha256": tokenizer.sha256,
        "training_documents": len(sample),
        "training_bytes": training_bytes,
        "bytes_per_token": training_bytes / tokens,
        "flags": flags,
        "seed": config.seed,
    }
    write_json(out / "manifest.json", manifest)
    return manifest


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _flags(config: TokenizerConfig, longest: int) -> dict[str, Any]:
    return {
        "model_type": config.model_type,
        "vocab_size": config.vocab_size,
        "hard_vocab_limit": True,
        "character_coverage": config.character_coverage,
        "byte_fallback": True,
        "split_digits": True,
        "required_chars": "0123456789",
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "add_dummy_prefix": False,
        "allow_whitespace_only_pieces": True,
        "control_symbols": [END_OF_DOCUMENT],
        "bos_id": -1,
        "eos_id": -1,
        "pad_id": -1,
        "unk_surface": "\ufffd",
        # The default silently drops every text above 4,192 bytes.
        "max_sentence_length": longest + 1,
        "input_sentence_size": 0,
        "shuffle_input_sentence": False,
        # More threads would add counts in another order and could break ties otherwise.
        "num_threads": 1,
    }


def _sample(documents: Iterable[str], config: TokenizerConfig, reporter: Reporter) -> list[str]:
    """Return the documents that come first in a seeded order of their hashes, up to the byte budget.

    The last one is cut where the budget ends. Memory is bounded by the budget and one document.
    """
    kept: list[
        tuple[int, int, str]
    ] = []  # (negated hash, bytes, text): the heap's root is the last in the order
    held = 0
    with reporter.bar("read documents for the tokenizer", None, "B") as bar:
        for text in documents:
            try:
                data = text.encode()
            except UnicodeEncodeError:
                raise PalmettoError(
                    "a training document holds a lone surrogate, which has no UTF-8 form; remove it."
                ) from None
            bar.advance(len(data))
            rank = int.from_bytes(sha256(f"{config.seed}:".encode() + data).digest()[:16])
            heapq.heappush(kept, (-rank, len(data), text))
            held += len(data)
            while held - kept[0][1] >= config.max_training_bytes:
                held -= heapq.heappop(kept)[1]
    ordered = [text for _, _, text in sorted(kept, reverse=True)]
    if held > config.max_training_bytes:
        last = ordered.pop().encode()
        ordered.append(last[: len(last) - (held - config.max_training_bytes)].decode(errors="ignore"))
    return [text for text in ordered if text]


def _learnable(sample: list[str], advance: Callable[[float], None]) -> Iterator[str]:
    for text in sample:
        yield from filter(None, _RESERVED.split(text))
        advance(_utf8_length(text))


def _train(sample: list[str], flags: dict[str, Any], config: TokenizerConfig, reporter: Reporter) -> bytes:
    if not any(text.strip() for text in sample):
        raise PalmettoError("there is no text to train the tokenizer on; give documents that hold some.")
    writer = io.BytesIO()
    with reporter.bar("train tokenizer", sum(map(_utf8_length, sample)), "B") as bar:
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=_learnable(sample, bar.advance), model_writer=writer, minloglevel=2, **flags
            )
        except RuntimeError as error:
            raise _explain(str(error), config) from None
    return writer.getvalue()


def _explain(message: str, config: TokenizerConfig) -> PalmettoError:
    """Turn SentencePiece's exception, which begins with a source line and an assertion, into one sentence."""
    if match := re.search(r"too high.*<= (\d+)", message):
        return PalmettoError(
            f"the text is too small for tokenizer.vocab_size={config.vocab_size}: it gives {match[1]} "
            f"tokens; set vocab_size to at most {match[1]} or give more text."
        )
    if match := re.search(r"smaller than required_chars\D*\d+ vs (\d+)", message):
        return PalmettoError(
            f"tokenizer.vocab_size={config.vocab_size} is too small: the bytes and single characters of the "
            f"text need {match[1]} tokens; set vocab_size above {match[1]} or lower character_coverage "
            f"(now {config.character_coverage})."
        )
    reason = re.sub(r"^.*?\]\s*", "", message) or message
    return PalmettoError(
        f"SentencePiece could not train a tokenizer with vocab_size={config.vocab_size} ({reason}); "
        "try another vocab_size or more text."
    )
