"""Reading what the evaluations left in a model's folder: result files and the scores of single items."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, read_json_lines
from palmetto.evaluation.run import samples_path


@dataclass(frozen=True)
class Result:
    """One model's result on one task at one number of shots."""

    task: str
    """Name of the task."""

    shots: int
    """Exemplars before each question."""

    path: Path
    """The result file, `results/<task>/<k>-shot.json`."""

    summary: dict[str, Any]
    """The result file's contents."""

    scores: dict[str, float]
    """The preferred metric of each item in [0, 1], by item id."""


def find_results(model_folder: Path) -> dict[tuple[str, int], Path]:
    """Return the result files below `models/<size>` by (task, shots), sorted by both.

    Raises:
        PalmettoError: there is none.
    """
    found = {
        (path.parent.name, int(path.name.removesuffix("-shot.json"))): path
        for path in (model_folder / "results").glob("*/*-shot.json")
    }
    if not found:
        raise PalmettoError(f"{model_folder / 'results'} holds no results; evaluate the model first.")
    return dict(sorted(found.items()))


def read_result(path: Path) -> Result:
    """Read a result file together with its samples.

    Raises:
        PalmettoError: a file is missing or damaged, an item occurs twice, or the mean item is not the score.
    """
    summary = read_json(path)
    samples = samples_path(path)
    scores: dict[str, float] = {}
    for row in read_json_lines(samples):
        if str(row["id"]) in scores:
            raise PalmettoError(f"{samples}: item {row['id']!r} occurs twice; evaluate the task again.")
        scores[str(row["id"])] = float(row["score"])
    mean = sum(scores.values()) / len(scores) if scores else float("nan")
    if not abs(mean - summary["score"]) < 1e-6:
        raise PalmettoError(
            f"{samples}: the items' mean score is {mean} where {path.name} says {summary['score']}; "
            "the files are not of one run, evaluate the task again."
        )
    return Result(summary["task"], summary["shots"], path, summary, scores)
