"""True continuation among several: which of these texts goes on from here (HellaSwag's form).

The wrong choices are continuations of other passages of the same document where it has enough of them, else
of other documents, all cut to a similar length: what gives the right one away is the text before it.
"""

from collections.abc import Iterator

from palmetto.evaluation.items import Item, Workbench, passages, shorten_from_the_front
from palmetto.evaluation.words import can_split_at, split_before, word_spans

MIN_WORDS = 3
"""Fewest words of a question and of a choice."""

_SHORTEST_SHARE = 0.75  # choices of one item are at least this part of the length they are cut to


def _splits(bench: Workbench, place: int) -> list[tuple[str, str]]:
    """Cut every passage of a document into question and continuation, near the ratio of the budget."""
    pairs = []
    for passage in passages(bench, place):
        aim = len(passage) * bench.budget.question / (bench.budget.question + bench.budget.target)
        starts = [start for start, _ in word_spans(passage)[MIN_WORDS:] if can_split_at(passage, start)]
        if not starts:
            continue
        head, tail = split_before(passage, min(starts, key=lambda start: abs(start - aim)))
        tail = _shorten_from_the_end(tail.rstrip(), bench)
        if len(word_spans(tail)) >= MIN_WORDS:
            pairs.append((head, tail))
    return pairs


def _shorten_from_the_end(text: str, bench: Workbench) -> str:
    while (count := bench.count_tokens(text)) > bench.budget.target:
        text = cut_at_word(text, min(len(text) - 1, int(len(text) * bench.budget.target / count)))
    return text


def cut_at_word(text: str, length: int) -> str:
    """Return the start of `text`, at most `length` characters long, that ends where a word ends."""
    if len(text) <= length:
        return text
    return text[: max((end for _, end in word_spans(text) if end <= length), default=0)]


def continuation_items(bench: Workbench, place: int) -> Iterator[Item]:
    """Yield the continuation items of one document, one a passage."""
    name = bench.documents[place].id
    own = _splits(bench, place)
    wrong = bench.config.n_choices - 1
    others: list[str] = []
    for step in range(1, len(bench.documents)):
        if len(own) + len(others) > 2 * wrong:
            break
        others += [tail for _, tail in _splits(bench, (place + step) % len(bench.documents))]
    for number, (head, tail) in enumerate(own):
        random = bench.random("continuation", name, str(number))
        question = shorten_from_the_front(head, bench.budget.question, bench.count_tokens)
        pool = [text for at, (_, text) in enumerate(own) if at != number]
        choices = _choices(tail, random.sample(pool, len(pool)) + random.sample(others, len(others)), wrong)
        if choices is None or len(word_spans(question)) < MIN_WORDS:
            continue
        label = random.randrange(wrong + 1)
        ordered = [*choices[1 : label + 1], choices[0], *choices[label + 1 :]]
        yield Item(name, question, tuple(ordered), label)


def _choices(right: str, pool: list[str], wrong: int) -> list[str] | None:
    """Return `right` and the first `wrong` texts of the pool that will do, all cut to about one length."""
    long_enough = [text for text in pool if len(text) >= _SHORTEST_SHARE * len(right)]
    chosen = [right]
    for text in long_enough:
        length = min(map(len, [*chosen, text]))
        cut = [cut_at_word(choice, length) for choice in [*chosen, text]]
        fair = min(map(len, cut)) >= _SHORTEST_SHARE * length
        if fair and len(set(cut)) == len(cut) and all(len(word_spans(choice)) >= MIN_WORDS for choice in cut):
            chosen = cut
        if len(chosen) == wrong + 1:
            return chosen
    return None
