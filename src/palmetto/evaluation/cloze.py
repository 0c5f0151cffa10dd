"""Last-word cloze: a passage without its last word, which the model has to produce (LAMBADA's form)."""

import re
from collections.abc import Iterator

from palmetto.evaluation.items import Item, Workbench, passages, shorten_from_the_front
from palmetto.evaluation.words import can_split_at, is_spaceless, split_before, word_spans

MIN_WORDS = 6
"""A passage with fewer words before the last gives nothing to go by."""

_line_or_sentence_end = re.compile(r"[^\w\s]*[^\S\n]*\n|[^\w\s]*[.!?…؟][^\w\s]*(?=\s)|[。！？।]")


def split_last_word(passage: str) -> tuple[str, str] | None:
    """Cut a passage before its last word: (question, answer), or None where no word will do.

    The answer is the last word of the passage that ends a line or sentence, or else the last word at all; it
    lies in the passage's second half, not at the start of a line, and has at least two letters (one in
    scripts without spaces).
    """
    spans = word_spans(passage)
    candidates = [
        (start, end)
        for start, end in spans[max(MIN_WORDS, len(spans) // 2) :]
        if can_split_at(passage, start)
        and _is_answer(passage[start:end])
        and not _begins_line(passage[:start])
    ]
    ending = [span for span in candidates if _line_or_sentence_end.match(passage, span[1])]
    if not candidates:
        return None
    start, end = (ending or candidates)[-1]
    return split_before(passage[:end], start)


def _begins_line(before: str) -> bool:
    return "\n" in before[len(before.rstrip()) :]


def _is_answer(word: str) -> bool:
    return any(map(str.isalpha, word)) and (len(word) > 1 or is_spaceless(word))


def cloze_items(bench: Workbench, place: int) -> Iterator[Item]:
    """Yield the cloze items of one document, one a passage."""
    for passage in passages(bench, place):
        split = split_last_word(passage)
        if split is None:
            continue
        question = shorten_from_the_front(split[0], bench.budget.question, bench.count_tokens)
        if len(word_spans(question)) >= MIN_WORDS and bench.count_tokens(split[1]) <= bench.budget.target:
            yield Item(bench.documents[place].id, question, (split[1],), 0)
