"""Let one model take the made tasks: a result file and a samples file for every task and number of shots."""

import importlib.metadata
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from palmetto.common.errors import PalmettoError
from palmetto.common.files import read_json, write_json, write_json_lines
from palmetto.common.progress import Bar, Reporter
from palmetto.evaluation.config import EvaluationConfig
from palmetto.evaluation.loading import LoadedTasks, load_tasks, quiet_lm_eval
from palmetto.evaluation.statistics import bootstrap_interval

FORMAT = 1


def result_path(folder: Path, task: str, shots: int) -> Path:
    """Return where the result of a task lies below a model's `results` folder."""
    return folder / task / f"{shots}-shot.json"


def samples_path(result: Path) -> Path:
    """Return where the samples that belong to a result file lie."""
    return result.with_name(f"{result.stem}.samples.jsonl")


def evaluate_task(
    lm: Any,
    tasks: LoadedTasks | Path,
    task: str,
    shots: int,
    model_name: str,
    config: EvaluationConfig,
    out_json: Path,
    reporter: Reporter,
) -> dict[str, Any]:
    """Let a model take one task with one number of shots, and write its result and samples files.

    Args:
        lm: any `lm_eval.api.model.LM`; a `PalmettoLM` also shows its progress and counts truncated prompts.
        tasks: from `load_tasks`, or the folder.
        task: name of the task.
        shots: worked examples before the question.
        model_name: what the result file calls the model.
        config: intervals.
        out_json: the result file; the samples file lies beside it and is written first.
        reporter: told the requests done.

    Returns:
        The result: "format", "task", "title", "shots", "model", "preferred_metric", "score", "ci_low",
        "ci_high" (in [0, 1]), "confidence", "chance", "chance_rule", "n_items", "metrics",
        "truncated_prompts" (None where the model does not tell), "versions", "tasks_hash", "timing"
        ({"seconds"}).

    Raises:
        PalmettoError: there is no such task, or it has fewer exemplars.
    """
    start = time.perf_counter()
    loaded = load_tasks(tasks) if isinstance(tasks, Path) else tasks
    facts = loaded.facts(task)
    with quiet_lm_eval():
        from lm_eval.evaluator import evaluate

        from palmetto.evaluation.harness import PalmettoLM

        ours = lm if isinstance(lm, PalmettoLM) else None
        before = ours.truncated if ours else 0
        with _shown_by(ours, reporter):
            results = evaluate(
                lm, {"tasks": {task: loaded.set_shots(task, shots)}}, bootstrap_iters=0, log_samples=True
            )
    preferred = facts["preferred_metric"]
    samples = sorted(results["samples"][task], key=lambda sample: sample["doc_id"])
    scores = np.array([float(sample[preferred]) for sample in samples])
    low, high = bootstrap_interval(scores, config.confidence, config.bootstrap_samples, config.seed)
    result = {
        "format": FORMAT,
        "task": task,
        "title": facts["title"],
        "shots": shots,
        "model": model_name,
        "preferred_metric": preferred,
        "score": float(scores.mean()),
        "ci_low": low,
        "ci_high": high,
        "confidence": config.confidence,
        "chance": facts["chance"],
        "chance_rule": facts["chance_rule"],
        "n_items": len(samples),
        "metrics": _metrics(results["results"][task]),
        "truncated_prompts": ours.truncated - before if ours else None,
        "versions": {"lm_eval": importlib.metadata.version("lm_eval")},
        "tasks_hash": loaded.manifest["hash"],
    }
    write_json_lines(samples_path(out_json), (_sample_row(sample, preferred) for sample in samples))
    result["timing"] = {"seconds": round(time.perf_counter() - start, 3)}
    write_json(out_json, result)
    return result


def evaluate_model(
    lm: Any,
    tasks: LoadedTasks | Path,
    model_name: str,
    config: EvaluationConfig,
    folder: Path,
    reporter: Reporter,
    names: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Let a model take every task with every number of shots; results that exist are kept, not made again.

    Args:
        lm: as in `evaluate_task`.
        tasks: from `load_tasks`, or the folder.
        model_name: what the result files call the model.
        config: shots and intervals.
        folder: the model's `results` folder.
        reporter: shows one bar of requests; truncated prompts are said once.
        names: tasks to take; None takes all.

    Returns:
        The results, by task in the manifest's order, then by shots.

    Raises:
        PalmettoError: a result that exists comes from other tasks or another model.
    """
    loaded = load_tasks(tasks) if isinstance(tasks, Path) else tasks
    plan = [(task, shots) for task in names or list(loaded.tasks) for shots in config.shots]
    kept = {pair: _existing(result_path(folder, *pair), loaded, model_name) for pair in plan}
    sizes = {task: loaded.facts(task)["n_items"] * loaded.facts(task)["n_choices"] for task, _ in plan}
    total = sum(sizes[task] for (task, _), result in kept.items() if result is None)
    results = []
    with reporter.bar(f"evaluate {model_name}", float(total), "requests") as bar:
        for task, shots in plan:
            result = kept[task, shots]
            if result is None:
                bar.note(f"{task}, {shots} shots")
                part = _PartOfBar(bar, sizes[task], reporter)
                path = result_path(folder, task, shots)
                result = evaluate_task(lm, loaded, task, shots, model_name, config, path, part)
                part.finish()
            results.append(result)
    truncated = sum(result["truncated_prompts"] or 0 for result in results)
    if truncated:
        reporter.say(
            f"{model_name}: {truncated:,} prompts were longer than the model and lost their beginning."
        )
    return results


def _existing(path: Path, tasks: LoadedTasks, model_name: str) -> dict[str, Any] | None:
    if not path.exists():
        return None
    result: dict[str, Any] = read_json(path)
    for field, value in (("tasks_hash", tasks.manifest["hash"]), ("model", model_name), ("format", FORMAT)):
        if result[field] != value:
            raise PalmettoError(
                f"{path}: its {field} is {result[field]!r}, not {value!r}; "
                "move the old results away to evaluate again."
            )
    return result


def _metrics(values: dict[str, Any]) -> dict[str, float]:
    """Return lm_eval's aggregated metrics under their plain names ("acc,none" is "acc")."""
    return {
        name.split(",")[0]: float(value)
        for name, value in values.items()
        if "," in name and not name.split(",")[0].endswith("_stderr")
    }


def _sample_row(sample: dict[str, Any], preferred: str) -> dict[str, Any]:
    """Return what is kept of one item; a cloze the model did not answer has an empty prediction."""
    doc = sample["doc"]
    log_probs = [log_prob for log_prob, _ in sample["filtered_resps"]]
    row = {
        "id": doc["id"],
        "question": doc["question"],
        "target": doc["target"],
        "score": int(sample[preferred]),
    }
    if "choices" in doc:
        lengths = (
            [len(choice) for choice in doc["choices"]] if preferred == "acc_norm" else [1] * len(log_probs)
        )
        best = int(np.argmax(np.array(log_probs) / np.array(lengths)))
        row |= {"choices": doc["choices"], "log_probs": log_probs, "prediction": doc["choices"][best]}
    else:
        row |= {"log_probs": log_probs, "prediction": doc["target"] if row["score"] else ""}
    return row


@contextmanager
def _shown_by(lm: Any, reporter: Reporter) -> Iterator[None]:
    if lm is None:
        yield
        return
    usual, lm.reporter = lm.reporter, reporter
    try:
        yield
    finally:
        lm.reporter = usual


class _PartOfBar:
    """A reporter whose bars together advance a part of one bigger bar, whatever units they count in."""

    def __init__(self, bar: Bar, size: float | int, outer: Reporter) -> None:
        self._bar, self._size, self._outer, self._done = bar, size, outer, 0.0

    @contextmanager
    def bar(self, description: str, total: float | int | None, unit: str) -> Iterator[Bar]:
        """Yield a bar whose `total` is the rest of the part."""
        del description, unit
        yield _ScaledBar(self, (self._size - self._done) / total if total else 0.0)

    def say(self, text: str) -> None:
        """Pass the line on."""
        self._outer.say(text)

    def advance(self, amount: float | int) -> None:
        """Advance the bigger bar, never past this part's end."""
        amount = min(amount, self._size - self._done)
        self._done += amount
        self._bar.advance(amount)

    def finish(self) -> None:
        """Advance to the part's end."""
        self.advance(self._size - self._done)


class _ScaledBar:
    def __init__(self, part: _PartOfBar, scale: float) -> None:
        self._part, self._scale = part, scale

    def advance(self, amount: float | int = 1) -> None:
        self._part.advance(amount * self._scale)

    def note(self, text: str) -> None:
        """Drop it: the bigger bar says which task is under way."""
