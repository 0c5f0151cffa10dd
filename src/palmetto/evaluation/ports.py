"""What this room needs of a tokenizer, an engine and a document; the real ones fit, and the tests' own."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from palmetto.common.progress import Reporter
from palmetto.inference.types import Sampling, Score, ScoreRequest


@runtime_checkable
class TextDocument(Protocol):
    """A held-out document."""

    @property
    def id(self) -> str:
        """Unique in its corpus."""

    @property
    def text(self) -> str:
        """The document's text."""


@runtime_checkable
class TextTokenizer(Protocol):
    """Text to tokens and back (`palmetto.tokenizer.tokenizer.Tokenizer`)."""

    eod_id: int

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids."""


@runtime_checkable
class TokenEngine(Protocol):
    """Scores and generates tokens (`palmetto.inference.engine.Engine`)."""

    max_length: int

    def score(self, requests: Sequence[ScoreRequest], reporter: Reporter, description: str) -> list[Score]:
        """Score every request, in order."""

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, reporter: Reporter
    ) -> list[list[int]]:
        """Continue every prompt, in order; new tokens only."""
