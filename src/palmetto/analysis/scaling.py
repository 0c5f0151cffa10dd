"""What scale bought: score against size, projection to the largest size, discontinuity (PaLM §6.2).

With scores s1, s2, s3 of three sizes about equal logarithmic steps apart, the projection for the largest is
s2 + (s2 - s1) and the discontinuity is s3 - projection, in points of 100. It is linear in the scores, so a
bootstrap over the items' own s3 - 2 s2 + s1 is the paired bootstrap: the same items are drawn for all sizes.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from palmetto.analysis.config import ScalingConfig
from palmetto.analysis.results import Result, find_results, read_result
from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, write_json
from palmetto.evaluation.statistics import bootstrap_interval, paired_bootstrap, ratio_bootstrap

Model = tuple[str, int, Path]
"""Name, parameters and folder (`models/<size>`) of one size."""


def project(scores: Sequence[float]) -> float | None:
    """Return the projection for the last score from the two before it; None for fewer than three."""
    return None if len(scores) < 3 else scores[-2] + (scores[-2] - scores[-3])


def discontinuity(scores: Sequence[float]) -> float | None:
    """Return the last score minus its projection, in the scores' unit; None for fewer than three.

    Where a family has more than three sizes these are its last three.
    """
    projection = project(scores)
    return None if projection is None else scores[-1] - projection


def scaling(
    models: Sequence[Model], tasks: Sequence[str], config: ScalingConfig, out: Path
) -> dict[str, Any]:
    """Write `scaling.json` and return its contents.

    Scores and projections are in [0, 1]; discontinuities and their intervals in points of 100. The shares
    over +10 and +20 points count each task at each number of shots as one. For bits per byte, where lower is
    better, the discontinuity is projection - actual: above zero always means better than projected.

    Args:
        models: the family; ordered here from the smallest to the largest.
        tasks: the tasks to report, in this order.
        config: the bootstrap's settings.
        out: the file to write.

    Raises:
        PalmettoError: a file is missing or damaged, or the sizes were evaluated on other items or shots.
    """
    if not models:
        raise PalmettoError("scaling: no models were given; name at least one.")
    family = sorted(models, key=lambda model: (model[1], model[0]))
    rows = [_task_row(results, family, config) for results in _aligned(family, tasks)]
    jumps = [row["discontinuity"] for row in rows if row["discontinuity"] is not None]
    report = {
        "format": 1,
        "sizes": [{"name": name, "parameters": parameters} for name, parameters, _ in family],
        "confidence": config.confidence,
        "tasks": rows,
        "bits_per_byte": _bits_per_byte(family, config),
        "share_over_10_points": _share_over(10, jumps),
        "share_over_20_points": _share_over(20, jumps),
    }
    write_json(out, report)
    return report


def _share_over(points: int, jumps: Sequence[float]) -> float | None:
    return sum(jump > points for jump in jumps) / len(jumps) if jumps else None


def _aligned(family: Sequence[Model], tasks: Sequence[str]) -> list[list[Result]]:
    """Return for every task and number of shots the results of all sizes, over the same items."""
    found = [find_results(folder) for _, _, folder in family]
    for (name, _, folder), paths in zip(family, found, strict=True):
        if difference := sorted(_shots(paths, tasks) ^ _shots(found[0], tasks)):
            task, shots = difference[0]
            raise PalmettoError(
                f"{folder / 'results'}: {name} and {family[0][0]} are not both evaluated on {task} with "
                f"{shots} shots; evaluate every size on the same tasks."
            )
    aligned = []
    for key in sorted(_shots(found[0], tasks), key=lambda key: (tasks.index(key[0]), key[1])):
        results = [read_result(paths[key]) for paths in found]
        for result in results[1:]:
            if result.scores.keys() != results[0].scores.keys():
                raise PalmettoError(
                    f"{result.path}: not the same items as {results[0].path}; "
                    "evaluate every size on the same tasks."
                )
        aligned.append(results)
    return aligned


def _shots(paths: Mapping[tuple[str, int], Path], tasks: Sequence[str]) -> set[tuple[str, int]]:
    return {key for key in paths if key[0] in tasks}


def _task_row(results: Sequence[Result], family: Sequence[Model], config: ScalingConfig) -> dict[str, Any]:
    items = sorted(results[0].scores)
    by_item = [np.array([result.scores[item] for item in items], np.float64) for result in results]
    scores = [float(result.summary["score"]) for result in results]
    jump, summary = discontinuity(scores), results[-1].summary
    return {
        "task": results[0].task,
        "title": summary["title"],
        "shots": results[0].shots,
        "preferred_metric": summary["preferred_metric"],
        "chance": summary["chance"],
        "scores": scores,
        "ci": [[result.summary["ci_low"], result.summary["ci_high"]] for result in results],
        "projection": project(scores),
        "discontinuity": None if jump is None else 100 * jump,
        "discontinuity_ci": None if jump is None else _discontinuity_interval(by_item[-3:], config),
        "paired": [
            _paired(family[small][0], family[large][0], by_item[small], by_item[large], config)
            for small, large in _pairs(len(family))
        ],
    }


def _discontinuity_interval(
    by_item: Sequence[Float64[np.ndarray, " n"]], config: ScalingConfig
) -> list[float]:
    first, second, third = by_item
    low, high = bootstrap_interval(
        100 * (third - 2 * second + first),
        confidence=config.confidence,
        n_samples=config.n_samples,
        seed=config.seed,
    )
    return [low, high]


def _pairs(sizes: int) -> list[tuple[int, int]]:
    """Return the pairs compared: neighbours, then the smallest with the largest."""
    pairs = [(small, small + 1) for small in range(sizes - 1)]
    return [*pairs, (0, sizes - 1)] if sizes > 2 else pairs


def _paired(
    small: str, large: str, a: Float64[np.ndarray, " n"], b: Float64[np.ndarray, " n"], config: ScalingConfig
) -> dict[str, Any]:
    """Return by how much the larger size is better, over the same items."""
    found = paired_bootstrap(b, a, confidence=config.confidence, n_samples=config.n_samples, seed=config.seed)
    return {
        "small": small,
        "large": large,
        "difference": found.difference,
        "ci_low": found.low,
        "ci_high": found.high,
        "p_value": found.p_value,
    }


def _bits_per_byte(family: Sequence[Model], config: ScalingConfig) -> dict[str, Any]:
    found = [read_json(folder / "summary.json")["heldout"] for _, _, folder in family]
    values = [float(heldout["bits_per_byte"]) for heldout in found]
    jump = discontinuity(values)
    return {
        "values": values,
        "ci": [[heldout["ci_low"], heldout["ci_high"]] for heldout in found],
        "projection": project(values),
        "discontinuity": None if jump is None else -jump,
        "paired": [
            _paired_bits(family[small][0], family[large][0], found[small], found[large], config)
            for small, large in _pairs(len(family))
        ],
    }


def _paired_bits(
    small: str, large: str, a: dict[str, Any], b: dict[str, Any], config: ScalingConfig
) -> dict[str, Any]:
    """Return how many bits per byte the larger size saves, over the same documents: above zero is better."""
    if a["document_bytes"] != b["document_bytes"]:
        raise PalmettoError(
            f"{small} and {large} were measured on different held-out documents; train them on one corpus with one "
            "training.final_heldout_tokens."
        )
    saved = (np.array(a["document_nats"], np.float64) - np.array(b["document_nats"], np.float64)) / math.log(
        2
    )
    sizes = np.array(a["document_bytes"], np.float64)
    low, high = ratio_bootstrap(saved, sizes, config.confidence, config.n_samples, config.seed)
    difference = float(saved.sum() / sizes.sum())
    return {"small": small, "large": large, "difference": difference, "ci_low": low, "ci_high": high}
