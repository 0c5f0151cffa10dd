"""Text to tokens and back, without loss: the vocabulary properties of section 2 of the PaLM paper.

Every string that UTF-8 can encode comes back exactly, every digit is one token, and no text yields `[eod]`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sentencepiece
from jaxtyping import Integer

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, sha256_bytes

MODEL_NAME = "tokenizer.model"
END_OF_DOCUMENT = "[eod]"
# SentencePiece writes a space as U+2581 inside its pieces, so this one character of a text would come back as
# a space. It is therefore sent around SentencePiece, as the three byte tokens of its UTF-8 form.
SPACE_MARK = "\u2581"


class Tokenizer:
    """A trained tokenizer.

    Attributes:
        vocab_size: number of tokens; ids are 0 .. vocab_size - 1.
        eod_id: id of the end-of-document token, which only a program can place.
        sha256: hash of the model file's bytes.
    """

    vocab_size: int
    eod_id: int
    sha256: str

    def __init__(self, model: bytes, name: str = "the tokenizer model") -> None:
        """Take a SentencePiece model's bytes; `name` is how errors call it.

        Raises:
            PalmettoError: the bytes are no SentencePiece model, or one that was not trained by Palmetto.
        """
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError:
            raise PalmettoError(
                f"{name} is not a SentencePiece model or is damaged; train it again."
            ) from None
        self.vocab_size = self._processor.get_piece_size()
        self.eod_id = self._processor.piece_to_id(END_OF_DOCUMENT)
        self.sha256 = sha256_bytes(model)
        mark = [self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in SPACE_MARK.encode()]
        if not self._processor.is_control(self.eod_id) or not all(map(self._processor.is_byte, mark)):
            raise PalmettoError(
                f"{name} has no control token {END_OF_DOCUMENT} or no bytes; use a model made by Palmetto."
            )
        self._space_mark_ids = mark

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Load `tokenizer.model`, or the one in the folder `path`.

        Raises:
            PalmettoError: it is missing, damaged, or not the file its manifest describes.
        """
        file = path / MODEL_NAME if path.is_dir() else path
        if not file.is_file():
            raise PalmettoError(f"{file} does not exist; train a tokenizer first or correct the path.")
        tokenizer = cls(file.read_bytes(), str(file))
        manifest = file.with_name("manifest.json")
        if (
            file.name == MODEL_NAME
            and manifest.is_file()
            and read_json(manifest)["sha256"] != tokenizer.sha256
        ):
            raise PalmettoError(
                f"{file} is not the file that {manifest} describes; restore it or train it again."
            )
        return tokenizer

    def encode(self, text: str) -> list[int]:
        """Return the token ids of `text`; `[eod]` is never among them.

        Raises:
            PalmettoError: the text holds a lone surrogate, which has no UTF-8 form.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text; the fast way for many documents.

        Raises:
            PalmettoError: a text holds a lone surrogate, which has no UTF-8 form.
        """
        try:
            if not any(SPACE_MARK in text for text in texts):
                return self._processor.encode(list(texts))
            return [self._encode_with_space_marks(text) for text in texts]
        except (RuntimeError, TypeError):
            # The binding cannot say which character it could not take over.
            for text in texts:
                _refuse_surrogates(text)
            raise

    def _encode_with_space_marks(self, text: str) -> list[int]:
        first, *others = text.split(SPACE_MARK)
        ids: list[int] = self._processor.encode(first)
        for part in others:
            ids += self._space_mark_ids
            ids += self._processor.encode(part)
        return ids

    def decode(self, ids: Sequence[int] | Integer[np.ndarray, " T"]) -> str:
        """Return the text of token ids: the inverse of `encode`.

        `[eod]` gives no text; byte tokens that are not UTF-8 together, and the unknown token, give U+FFFD.

        Raises:
            PalmettoError: an id is outside the vocabulary.
        """
        numbers = [int(number) for number in ids]
        if numbers and (min(numbers) < 0 or max(numbers) >= self.vocab_size):
            raise PalmettoError(
                f"token ids {min(numbers)} .. {max(numbers)} do not fit the {self.vocab_size} tokens of the "
                "tokenizer; use the tokenizer that the tokens were made with."
            )
        return self._processor.decode(numbers)

    def piece(self, token: int) -> str:
        """Return the vocabulary entry of one id, for display: a space is U+2581, a byte `<0x0A>`."""
        return self._processor.id_to_piece(token)


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PalmettoError(
            f"the text holds a lone surrogate (U+{ord(text[error.start]):04X} at character {error.start}), "
            "which has no UTF-8 form; remove it or read the text with errors='replace'."
        ) from None
