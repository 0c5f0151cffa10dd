"""The files of made tasks: lm_eval's YAML, JSON lines of items, the loader, and the manifest."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palmetto.common.files import (
    atomic_path,
    hash_json,
    read_json,
    sha256_file,
    write_json,
    write_json_lines,
    write_text,
)
from palmetto.evaluation.items import EXEMPLAR_DELIMITER, Item

FORMAT = 1
GROUP = "palmetto_made"
_LOADER = "task_loader.py"


@dataclass(frozen=True)
class TaskKind:
    """What one of the made tasks is called and how lm_eval is to ask it."""

    name: str
    """The task's name for lm_eval, and of its files."""

    title: str
    """Its name in reports."""

    output_type: str
    """lm_eval's: `loglikelihood` (produce the answer) or `multiple_choice`."""

    preferred_metric: str
    """The metric that reports speak of."""

    metrics: tuple[str, ...]
    """All metrics; lm_eval's names."""


CLOZE = TaskKind("cloze", "Last-word cloze", "loglikelihood", "acc", ("acc", "perplexity"))
CONTINUATION = TaskKind(
    "continuation", "True continuation", "multiple_choice", "acc_norm", ("acc", "acc_norm")
)
COPYING = TaskKind("copying", "Copying from the context", "multiple_choice", "acc", ("acc", "acc_norm"))
KINDS = (CLOZE, CONTINUATION, COPYING)


def write_task(out: Path, kind: TaskKind, items: Sequence[Item], exemplars: Sequence[Item]) -> None:
    """Write `<task>.yaml`, `<task>.test.jsonl` and `<task>.fewshot.jsonl` into `out`."""
    for split, rows in (("test", items), ("fewshot", exemplars)):
        write_json_lines(
            out / f"{kind.name}.{split}.jsonl",
            (_row(kind, f"{kind.name}-{split}-{number:05d}", item) for number, item in enumerate(rows)),
        )
    write_text(out / f"{kind.name}.yaml", _yaml(kind, len(exemplars)))


def _row(kind: TaskKind, name: str, item: Item) -> dict[str, Any]:
    row: dict[str, Any] = {"id": name, "document": item.document, "question": item.question}
    if kind.output_type == "multiple_choice":
        row |= {"choices": list(item.choices), "label": item.label}
    return row | {"target": item.target}


def _yaml(kind: TaskKind, n_exemplars: int) -> str:
    choosing = kind.output_type == "multiple_choice"
    lines = [
        f"# {kind.title}: made by Palmetto from held-out documents; {n_exemplars} exemplars at most.",
        f"task: {kind.name}",
        "custom_dataset: !function task_loader.load",
        "dataset_kwargs:",
        f"  made_task: {kind.name}",
        "test_split: test",
        "fewshot_split: fewshot",
        "fewshot_config:",
        "  sampler: first_n",
        f"output_type: {kind.output_type}",
        "doc_to_text: question",
        *(["doc_to_choice: choices"] if choosing else []),
        f"doc_to_target: {'label' if choosing else 'target'}",
        "# White space between question and answer is part of the answer.",
        'target_delimiter: ""',
        f"fewshot_delimiter: {EXEMPLAR_DELIMITER!r}".replace("'", '"'),
        "metric_list:",
    ]
    for metric in kind.metrics:
        aggregation, higher = ("perplexity", "false") if metric == "perplexity" else ("mean", "true")
        lines += [
            f"  - metric: {metric}",
            f"    aggregation: {aggregation}",
            f"    higher_is_better: {higher}",
        ]
    return "\n".join([*lines, "metadata:", f"  version: {FORMAT}.0", ""])


def write_group_and_manifest(out: Path, tasks: dict[str, dict[str, Any]], **facts: Any) -> dict[str, Any]:
    """Write the group's YAML, the loader and `manifest.json` ("hash" covers every other file); return it."""
    names = "".join(f"  - {name}\n" for name in tasks)
    write_text(out / f"{GROUP}.yaml", f"group: {GROUP}\ntask:\n{names}metadata:\n  version: {FORMAT}.0\n")
    with atomic_path(out / _LOADER) as temporary:
        shutil.copyfile(Path(__file__).with_name(_LOADER), temporary)
    files = [f"{GROUP}.yaml", _LOADER]
    for name in tasks:
        files += [f"{name}.yaml", f"{name}.test.jsonl", f"{name}.fewshot.jsonl"]
    hashes = {name: sha256_file(out / name) for name in files}
    manifest = {
        "format": FORMAT,
        "group": GROUP,
        "tasks": tasks,
        **facts,
        "files": hashes,
        "hash": hash_json(hashes),
    }
    write_json(out / "manifest.json", manifest)
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder of made tasks.

    Raises:
        PalmettoError: it is missing or damaged.
    """
    manifest: dict[str, Any] = read_json(folder / "manifest.json")
    return manifest
