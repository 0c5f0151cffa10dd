"""Do evaluation items occur in the training text, and does that flatter the scores? (PaLM §8)

An item is contaminated when at least 70 % of the 8-grams of its question, its prompt or its target occur at
least once in the training text; each part is tested by itself. Items of which every part is shorter than
eight units cannot be tested: "too short", neither contaminated nor clean. The training text streams past
once for all tasks together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palmetto.analysis.config import ContaminationConfig
from palmetto.analysis.results import find_results, read_result
from palmetto.analysis.words import ngrams, split_units
from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json_lines, write_json
from palmetto.common.progress import Reporter
from palmetto.corpus.questions import seen_ngrams

PARTS = ("question", "context", "target")
"""The fields of an item that are tested; `context` is what the paper calls the prompt (a passage)."""


@dataclass(frozen=True)
class Overlap:
    """How much of one item's parts occurs in the training text."""

    shares: Mapping[str, float | None]
    """By part: the share of its n-grams seen in training; None where the part is shorter than one n-gram."""

    threshold: float
    """Share from which on a part counts as seen."""

    @property
    def too_short(self) -> bool:
        """Whether no part is long enough to be tested."""
        return all(share is None for share in self.shares.values())

    @property
    def contaminated_parts(self) -> tuple[str, ...]:
        """The parts that were seen in training."""
        return tuple(
            part for part, share in self.shares.items() if share is not None and share >= self.threshold
        )

    @property
    def clean(self) -> bool:
        """Whether the item could be tested and none of its parts was seen."""
        return not self.too_short and not self.contaminated_parts


def find_overlaps(
    items: Sequence[Mapping[str, str]],
    training_texts: Iterable[str],
    config: ContaminationConfig,
    reporter: Reporter,
    *,
    total: int | None = None,
) -> list[Overlap]:
    """Test each item against the training text, in one pass.

    Args:
        items: the texts of each item's parts, by part.
        training_texts: the documents trained on.
        config: length of the n-grams and threshold.
        reporter: shows the progress, in documents.
        total: number of documents, for the progress display.
    """
    asked = [{part: ngrams(split_units(text), config.n) for part, text in item.items()} for item in items]
    questions = {gram for item in asked for grams in item.values() for gram in grams}
    seen = seen_ngrams(questions, training_texts, split_units, reporter, n=config.n, total=total)
    return [
        Overlap(
            {
                part: sum(gram in seen for gram in grams) / len(grams) if grams else None
                for part, grams in item.items()
            },
            config.share,
        )
        for item in asked
    ]


def contamination(
    tasks_folder: Path,
    tasks: Sequence[str],
    training_texts: Iterable[str],
    models: Sequence[tuple[str, Path]],
    *,
    config: ContaminationConfig,
    out: Path,
    reporter: Reporter,
    total: int | None = None,
) -> dict[str, Any]:
    """Write `contamination.json`: overlap of every task, and every model's score on the clean items alone.

    `clean_share` is clean / (clean + contaminated); `delta` is clean minus full score. Both, and `clean`, are
    null where no item is left to take them over.

    Args:
        tasks_folder: holds `<task>.test.jsonl`.
        tasks: the tasks to test, in the order to report them.
        training_texts: the documents trained on.
        models: name and folder (`models/<size>`) of each model, whose results on these tasks are read.
        config: length of the n-grams and threshold.
        out: the file to write.
        reporter: shows the progress, in documents.
        total: number of training documents, for the progress display.

    Raises:
        PalmettoError: a file is missing or damaged, or an evaluated item is not among a task's items.
    """
    rows = {task: _read_items(tasks_folder / f"{task}.test.jsonl") for task in tasks}
    flat = [parts for items in rows.values() for parts in items.values()]
    overlaps = iter(find_overlaps(flat, training_texts, config, reporter, total=total))
    found = {task: {identity: next(overlaps) for identity in items} for task, items in rows.items()}
    report = {
        "format": 1,
        "rule": f"{config.share * 100:g} % of {config.n}-grams",
        "tasks": [_task_row(task, items, models) for task, items in found.items()],
    }
    write_json(out, report)
    return report


def _read_items(path: Path) -> dict[str, dict[str, str]]:
    """Return the texts of each item's parts, by item id."""
    items: dict[str, dict[str, str]] = {}
    for row in read_json_lines(path):
        parts = {part: row[part] for part in PARTS if part in row}
        if "id" not in row or not parts or not all(isinstance(text, str) for text in parts.values()):
            raise PalmettoError(
                f"{path}: an item has no id or none of the texts {', '.join(PARTS)}; make the task again."
            )
        items[str(row["id"])] = parts
    return items


def _task_row(task: str, overlaps: dict[str, Overlap], models: Sequence[tuple[str, Path]]) -> dict[str, Any]:
    clean = {identity for identity, overlap in overlaps.items() if overlap.clean}
    short = sum(overlap.too_short for overlap in overlaps.values())
    contaminated = len(overlaps) - short - len(clean)
    parts = [part for part in PARTS if any(part in overlap.shares for overlap in overlaps.values())]
    return {
        "task": task,
        "items": len(overlaps),
        "too_short": short,
        "contaminated": contaminated,
        "clean": len(clean),
        "clean_share": len(clean) / (len(clean) + contaminated) if clean or contaminated else None,
        "parts": {part: sum(part in o.contaminated_parts for o in overlaps.values()) for part in parts},
        "by_model": [
            row for name, folder in models for row in _model_rows(task, name, folder, overlaps, clean)
        ],
    }


def _model_rows(
    task: str, name: str, folder: Path, overlaps: Mapping[str, Overlap], clean: set[str]
) -> list[dict[str, Any]]:
    """Return full and clean score of one model on one task, one row for each number of shots."""
    rows = []
    for (found_task, shots), path in find_results(folder).items():
        if found_task != task:
            continue
        scores = read_result(path).scores
        if unknown := sorted(scores.keys() - overlaps.keys()):
            raise PalmettoError(
                f"{path}: the evaluated item {unknown[0]!r} is not in {task}.test.jsonl; "
                "evaluate the task again."
            )
        kept = [score for identity, score in scores.items() if identity in clean]
        full = sum(scores.values()) / len(scores)
        mean = sum(kept) / len(kept) if kept else None
        delta = None if mean is None else mean - full
        rows.append({"model": name, "shots": shots, "full": full, "clean": mean, "delta": delta})
    return rows
