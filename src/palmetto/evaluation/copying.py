"""Copying: a list of words, then the same list again up to some word; which word of the list comes next?

Models that have learnt to copy from their context (induction) answer it in any language; no knowledge helps.
"""

from collections.abc import Iterator

from palmetto.evaluation.items import Item, Workbench
from palmetto.evaluation.words import is_spaceless, word_spans

_ROUNDS = 4  # how often a document's words may be dealt out anew
_TEXT = 50_000  # characters of a document that words are taken from
_LETTERS = range(3, 13)  # lengths of the words taken; one character is a word in scripts without spaces


def _vocabulary(text: str) -> list[str]:
    """Return the distinct words of a text that consist of letters, in order of appearance."""
    head = text[:_TEXT]
    words = (head[start:end] for start, end in word_spans(head))
    usable = (
        word for word in words if word[0].isalpha() and (len(word) in _LETTERS or is_spaceless(word[0]))
    )
    return list(dict.fromkeys(word for word in usable if not any(map(str.isdigit, word)) and "_" not in word))


def copying_items(bench: Workbench, place: int) -> Iterator[Item]:
    """Yield the copying items of one document; no word is in two lists of one deal."""
    name = bench.documents[place].id
    words = _vocabulary(bench.documents[place].text)
    for deal in range(_ROUNDS):
        random = bench.random("copying", name, str(deal))
        random.shuffle(words)
        rest = list(words)
        while len(rest) >= bench.config.n_choices:
            taken = _longest_that_fits(rest[: bench.config.copy_words], bench)
            if len(taken) < bench.config.n_choices:
                rest = rest[1:]  # the first word may be one of very many tokens
                continue
            rest = rest[len(taken) :]
            at = random.randrange(1, len(taken))
            others = [word for word in taken if word != taken[at]]
            shown = [*random.sample(others, bench.config.n_choices - 1), taken[at]]
            random.shuffle(shown)
            question = " ".join(taken) + "\n" + " ".join(taken[:at])
            yield Item(name, question, tuple(" " + word for word in shown), shown.index(taken[at]))


def _longest_that_fits(words: list[str], bench: Workbench) -> list[str]:
    """Return the first of `words`, as many as fit when written twice; the second time holds the answer."""
    for length in range(len(words), 0, -1):
        line = " ".join(words[:length])
        if bench.count_tokens(f"{line}\n{line}") <= bench.budget.question + bench.budget.target:
            return words[:length]
    return []
