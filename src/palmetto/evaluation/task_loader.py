"""Reads the JSON lines that lie beside this file; lm_eval calls it through the tasks' `custom_dataset`.

Copied as it is into every folder of made tasks, so that the folder works wherever it is moved and without
Palmetto: `lm_eval --model hf --include_path FOLDER --tasks cloze`.
"""

import json
from pathlib import Path
from typing import Any

import datasets


def load(made_task: str, **_: Any) -> dict[str, Any]:
    """Return the test items and the exemplars of one task, in memory: nothing is cached on disk."""
    folder = Path(__file__).resolve().parent
    return {
        split: datasets.Dataset.from_list(_rows(folder / f"{made_task}.{split}.jsonl"))
        for split in ("test", "fewshot")
    }


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="\n") as stream:
        return [json.loads(line) for line in stream]
