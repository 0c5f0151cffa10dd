"""What may be chosen about a tokenizer. Everything else is fixed by section 2 of the paper."""

from dataclasses import dataclass
from typing import Literal

from palmetto.common.errors import PalmettoError


@dataclass(frozen=True)
class TokenizerConfig:
    """Choices of tokenizer training."""

    vocab_size: int = 4096
    """Number of tokens, with the 256 byte tokens, `[eod]` and the unknown token counted in. The paper has
    256,000."""

    model_type: Literal["bpe", "unigram"] = "bpe"
    """SentencePiece's model. The paper does not say which; `bpe` encodes identically in transformers and
    llama.cpp and trains twenty times faster, `unigram` loses its byte fallback when exported to llama.cpp."""

    character_coverage: float = 0.9999
    """Share of the sample's characters that must have a token of their own; the rarer ones go out as UTF-8
    bytes."""

    max_training_bytes: int = 8_000_000
    """Upper bound of the UTF-8 bytes of the deterministic sample of documents that training sees. It is held
    in memory."""

    seed: int = 0
    """Seed of the choice of sample; a document's rank in it depends on its text and this number alone."""

    def __post_init__(self) -> None:
        if self.vocab_size < 2:
            raise PalmettoError(
                f"tokenizer.vocab_size is {self.vocab_size}; it must be at least 2 (300 is practical)."
            )
        if not 0.0 < self.character_coverage <= 1.0:
            raise PalmettoError(
                f"tokenizer.character_coverage is {self.character_coverage}; it must be in (0, 1]."
            )
        if self.max_training_bytes < 1:
            raise PalmettoError(
                f"tokenizer.max_training_bytes is {self.max_training_bytes}; it must be at least 1."
            )
