"""Make three lm_eval tasks from held-out documents, whatever their language, code or prose.

Last-word cloze, true continuation among four and copying; each with worked examples from documents that no
test item comes from, short enough that the most shots, the question and the longest answer fit the model.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from palmetto.common.errors import PalmettoError
from palmetto.common.files import sha256_bytes
from palmetto.common.progress import Reporter
from palmetto.evaluation.cloze import cloze_items
from palmetto.evaluation.config import MadeTasksConfig
from palmetto.evaluation.continuation import continuation_items
from palmetto.evaluation.copying import copying_items
from palmetto.evaluation.items import Budget, Item, ItemMaker, Workbench, round_robin
from palmetto.evaluation.ports import TextDocument
from palmetto.evaluation.task_files import (
    CLOZE,
    CONTINUATION,
    COPYING,
    KINDS,
    TaskKind,
    write_group_and_manifest,
    write_task,
)

_MAKERS: dict[str, ItemMaker] = {
    CLOZE.name: cloze_items,
    CONTINUATION.name: continuation_items,
    COPYING.name: copying_items,
}
_EXEMPLAR_DOCUMENTS = 0.25  # at most this share of the documents is kept for exemplars

CountTokens = Callable[[str], int]


def make_tasks(
    heldout: Iterable[TextDocument],
    config: MadeTasksConfig,
    sequence_length: int,
    count_tokens: CountTokens,
    out: Path,
    reporter: Reporter,
) -> dict[str, Any]:
    """Write the tasks `cloze`, `continuation` and `copying` into the existing folder `out`.

    Args:
        heldout: documents the models were not trained on; streamed once.
        config: how many items, how long.
        sequence_length: tokens the model can take; no request is longer.
        count_tokens: number of tokens of a text.
        out: folder to write into.
        reporter: told the items made.

    Returns:
        The manifest: "format", "group", "tasks" ({name: {"title", "preferred_metric", "chance" in [0, 1],
        "chance_rule", "n_items", "n_exemplars", "longest_tokens": {shots: tokens}, "documents"}}),
        "sequence_length", "config", "heldout" ({"documents", "used_documents", "characters"}), "files" (their
        hashes), "hash" (of these).

    Raises:
        PalmettoError: the held-out text is too little for `config.min_items` items or for the exemplars.
    """
    _check(config)
    documents, heldout_facts = _sample(heldout, config)
    size = min(sequence_length, config.max_request_tokens)
    budget = Budget(int(size * config.question_share), int(size * config.target_share))
    bench = Workbench(config, budget, count_tokens, documents)
    exemplars, exemplar_places = _exemplars(bench, int(size * config.exemplars_share))
    rest = tuple(document for place, document in enumerate(documents) if place not in exemplar_places)
    bench = Workbench(config, budget, count_tokens, rest)
    tasks = {}
    for kind in KINDS:
        shown = exemplars[kind.name]
        items, longest = _test_items(bench, kind, shown, size, reporter)
        if len(items) < config.min_items:
            raise PalmettoError(
                f"task {kind.name}: the held-out text ({_amount(documents)}) gives only {len(items)} items "
                f"of the {config.min_items} needed at {size} tokens a request; give more text or a larger "
                "heldout_fraction, or lower question_share or min_items."
            )
        if len(items) < config.n_items:
            reporter.say(f"task {kind.name}: {len(items):,} items, all that the held-out text gives.")
        else:
            reporter.say(f"task {kind.name}: {len(items):,} items.")
        write_task(out, kind, items, shown)
        chance, rule = _chance(kind, items)
        tasks[kind.name] = {
            "title": kind.title,
            "preferred_metric": kind.preferred_metric,
            "chance": chance,
            "chance_rule": rule,
            "n_items": len(items),
            "n_exemplars": len(shown),
            "n_choices": len(items[0].choices),
            "longest_tokens": longest,
            "documents": len({item.document for item in items}),
        }
    return write_group_and_manifest(
        out, tasks, sequence_length=sequence_length, config=asdict(config), heldout=heldout_facts
    )


def _check(config: MadeTasksConfig) -> None:
    if not 2 <= config.n_choices <= config.copy_words:
        raise PalmettoError(f"MadeTasksConfig.n_choices must be 2 .. copy_words, but is {config.n_choices}.")
    if config.question_share + config.target_share + config.exemplars_share > 0.99:
        raise PalmettoError(
            "MadeTasksConfig: question_share, target_share and exemplars_share must sum to 0.99 at most."
        )


def _sample(
    heldout: Iterable[TextDocument], config: MadeTasksConfig
) -> tuple[tuple[TextDocument, ...], dict[str, int]]:
    """Return documents in a seeded random order, as many as `max_heldout_characters` allows."""
    kept: list[tuple[str, TextDocument]] = []
    held, seen = 0, 0
    for document in heldout:
        seen += 1
        held += len(document.text)
        kept.append((sha256_bytes(f"{config.seed}\0{document.id}".encode()), document))
        # Cut back rarely: sorting at every document would cost more than the documents.
        if held > 2 * config.max_heldout_characters:
            kept, held = _cut_back(kept, config.max_heldout_characters)
    kept, held = _cut_back(kept, config.max_heldout_characters)
    facts = {"documents": seen, "used_documents": len(kept), "characters": held}
    return tuple(document for _, document in kept), facts


def _cut_back(
    kept: list[tuple[str, TextDocument]], characters: int
) -> tuple[list[tuple[str, TextDocument]], int]:
    kept.sort(key=lambda pair: (pair[0], pair[1].id))
    held, end = 0, 0
    while end < len(kept) and (end == 0 or held + len(kept[end][1].text) <= characters):
        held += len(kept[end][1].text)
        end += 1
    return kept[:end], held


def _exemplars(bench: Workbench, tokens: int) -> tuple[dict[str, list[Item]], set[int]]:
    """Choose documents for exemplars and make them: ({task: exemplars}, places of the documents).

    Short documents go first, so that little text is lost to the test items; they are as many as the
    exemplars, and twice as many as long as these do not suffice.
    """
    config = bench.config
    if not config.n_exemplars:
        return {kind.name: [] for kind in KINDS}, set()
    each = tokens // config.n_exemplars - 1  # one for the delimiter
    ratio = config.question_share / (config.question_share + config.target_share)
    small = Budget(int(each * ratio), each - int(each * ratio))
    ordered = _exemplar_candidates(bench, each)
    most = max(1, int(len(bench.documents) * _EXEMPLAR_DOCUMENTS))
    count = min(config.n_exemplars, most)
    made: dict[str, list[Item]] = {}
    while ordered:
        chosen = ordered[:count]
        desk = Workbench(config, small, bench.count_tokens, tuple(bench.documents[place] for place in chosen))
        for kind in KINDS:
            makers = [_MAKERS[kind.name](desk, place) for place in range(len(chosen))]
            fitting = (
                item for item in round_robin(makers) if bench.count_tokens(item.as_exemplar()) <= each + 1
            )
            made[kind.name] = list(islice(_unique(fitting), config.n_exemplars))
        if all(len(items) == config.n_exemplars for items in made.values()):
            return made, set(chosen)
        if count >= min(most, len(ordered)):
            break
        count = min(2 * count, most)
    short = {name: len(items) for name, items in made.items()}
    raise PalmettoError(
        f"the held-out text ({_amount(bench.documents)}) does not give {config.n_exemplars} exemplars of at "
        f"most {each} tokens a task (found: {short or 'none'}); give more text, a longer sequence length, or "
        "a smaller n_exemplars. Exemplars and test items come from different documents, so two are the least."
    )


def _exemplar_candidates(bench: Workbench, each: int) -> list[int]:
    """Return places of documents to take exemplars from: the shorter half of those that could hold a few."""
    if len(bench.documents) < 2:
        return []
    lengths = [len(document.text) for document in bench.documents]
    enough = [place for place, length in enumerate(lengths) if length >= 8 * each] or list(
        range(len(lengths))
    )
    middle = sorted(lengths[place] for place in enough)[(len(enough) - 1) // 2]
    return [place for place in enough if lengths[place] <= middle]


def _test_items(
    bench: Workbench, kind: TaskKind, exemplars: Sequence[Item], size: int, reporter: Reporter
) -> tuple[list[Item], dict[str, int]]:
    """Return the items of a task and the tokens of the longest request at 0, 1 and all exemplars."""
    prefixes = {
        shots: "".join(item.as_exemplar() for item in exemplars[:shots])
        for shots in sorted({0, min(1, len(exemplars)), len(exemplars)})
    }
    longest = dict.fromkeys(map(str, prefixes), 0)
    items: list[Item] = []
    makers = [_MAKERS[kind.name](bench, place) for place in range(len(bench.documents))]
    with reporter.bar(f"task {kind.name}", float(bench.config.n_items), "items") as bar:
        for item in _unique(round_robin(makers)):
            # An item's choices differ in their ends alone, so the one that is longest is so at every prefix.
            text = max((item.question + choice for choice in item.choices), key=bench.count_tokens)
            tokens = {str(shots): bench.count_tokens(prefix + text) for shots, prefix in prefixes.items()}
            if max(tokens.values()) > size:
                continue
            items.append(item)
            longest = {shots: max(longest[shots], tokens[shots]) for shots in longest}
            bar.advance()
            if len(items) == bench.config.n_items:
                break
    return items, longest


def _unique(items: Iterable[Item]) -> Iterator[Item]:
    seen = set()
    for item in items:
        key = (item.question, item.target)
        if key not in seen:
            seen.add(key)
            yield item


def _chance(kind: TaskKind, items: Sequence[Item]) -> tuple[float, str]:
    if kind is CLOZE:
        word, count = min(
            Counter(item.target.strip() for item in items).items(), key=lambda pair: (-pair[1], pair[0])
        )
        return count / len(items), f"always answering {word!r}, the most frequent answer"
    choices = len(items[0].choices)
    return 1 / choices, f"one of {choices} choices at random"


def _amount(documents: Sequence[TextDocument]) -> str:
    characters = sum(len(document.text) for document in documents)
    return f"{len(documents):,} documents, {characters:,} characters"
