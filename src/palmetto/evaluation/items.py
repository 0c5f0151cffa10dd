"""Items, exemplars, token budgets and passages: what the three made tasks have in common."""

import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from palmetto.corpus.cutting import cut_text
from palmetto.evaluation.config import MadeTasksConfig
from palmetto.evaluation.ports import TextDocument
from palmetto.evaluation.words import word_spans

EXEMPLAR_DELIMITER = "\n\n"
"""Between exemplars and before the question: lm_eval's `fewshot_delimiter`."""

_DENSITY_SAMPLE = 4000  # characters of a document that tell how many characters one of its tokens has


@dataclass(frozen=True)
class Item:
    """One question. Question and choice are put together as they are: white space belongs to the choice."""

    document: str
    """Id of the document it was made from."""

    question: str
    """The text before the answer; never empty, never ending in white space."""

    choices: tuple[str, ...]
    """The possible answers; one where the answer is to be produced, not chosen."""

    label: int
    """Place of the right answer among `choices`."""

    @property
    def target(self) -> str:
        """The right answer."""
        return self.choices[self.label]

    def as_exemplar(self) -> str:
        """Return the text of the item with its answer, as it stands before another item's question."""
        return self.question + self.target + EXEMPLAR_DELIMITER


@dataclass(frozen=True)
class Budget:
    """How long an item may be."""

    question: int
    """Tokens of the question."""

    target: int
    """Tokens of the longest choice."""


@dataclass(frozen=True)
class Workbench:
    """What the makers of items work with."""

    config: MadeTasksConfig
    """How tasks are made."""

    budget: Budget
    """How long the items may be."""

    count_tokens: Callable[[str], int]
    """Number of tokens of a text."""

    documents: tuple[TextDocument, ...]
    """The documents to make items from."""

    def random(self, *names: str) -> random.Random:
        """Return a generator that depends on the seed and these names alone."""
        return random.Random("\0".join((str(self.config.seed), *names)))


ItemMaker = Callable[[Workbench, int], Iterator[Item]]
"""Yields the items of one document of the workbench, given its place there, until its text is used up."""


def passages(bench: Workbench, place: int) -> list[str]:
    """Cut one document into disjoint passages of about the budget's length, in a seeded random order.

    A passage ends in a line end where one follows it in the document, and in no other white space.
    """
    document = bench.documents[place]
    head = document.text[:_DENSITY_SAMPLE]
    characters_per_token = len(head) / max(1, bench.count_tokens(head))
    size = max(8, int((bench.budget.question + bench.budget.target) * characters_per_token))
    pieces = [_tidy(piece) for piece in cut_text(document.text.rstrip() + "\n", size)]
    bench.random("passages", document.id).shuffle(pieces)
    return pieces


def _tidy(piece: str) -> str:
    text = piece.rstrip()
    return text.lstrip("\n") + ("\n" if "\n" in piece[len(text) :] else "")


def shorten_from_the_front(text: str, tokens: int, count_tokens: Callable[[str], int]) -> str:
    """Return the end of `text`, from the start of a line or word on, that has at most `tokens` tokens."""
    while (count := count_tokens(text)) > tokens:
        drop = max(1, int(len(text) * (1 - tokens / count)))
        line = text.find("\n", drop, drop + max(1, (len(text) - drop) // 4))
        starts = [start for start, _ in word_spans(text) if start >= drop]
        if line >= 0:
            text = text[line:].lstrip("\n")
        elif starts:
            text = text[starts[0] :]
        else:
            return ""
    return text


def round_robin(makers: Sequence[Iterator[Item]]) -> Iterator[Item]:
    """Yield one item of each maker in turn until all are used up."""
    queue = deque(makers)
    while queue:
        maker = queue.popleft()
        for item in maker:
            yield item
            queue.append(maker)
            break
