"""One data table per figure: what the CSV files hold and what the figures are drawn from.

Scores and rates stay fractions in [0, 1] and losses stay nats, so a reader of the CSV need not undo a format.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from palmetto.report import numbers
from palmetto.report.numbers import Number
from palmetto.report.schema import Contamination, Metrics, Scaling, Size, Study

MOST_POINTS = 400
"""Steps a training curve keeps; longer runs are averaged over equal groups of steps."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column: the key in the rows and the CSV, the heading on the page, how `numbers.show` writes it."""

    key: str
    heading: str
    kind: str = "text"


@dataclass(frozen=True)
class Table:
    """A figure's data. `name` is the CSV's stem; rows hold every column's key, None where unmeasured."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def csv(self) -> str:
        """Return the table as CSV, numbers in full precision, absent values empty."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(column.key for column in self.columns)
        writer.writerows([row[column.key] for column in self.columns] for row in self.rows)
        return stream.getvalue()

    def shown(self, most: int = 30) -> list[list[str]]:
        """Return at most `most` rows as people read them, evenly chosen, the last always among them."""
        rows = self.rows
        if len(rows) > most:
            rows = tuple(rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most))
        return [[numbers.show(row[column.key], column.kind) for column in self.columns] for row in rows]

    def column(self, key: str) -> list[Any]:
        """Return one column's values."""
        return [row[key] for row in self.rows]


SIZE_COLUMNS = (Column("size", "Size"), Column("parameters", "Parameters", "parameters"))


def _of_size(size: Size) -> Row:
    return {"size": size.name, "parameters": size.parameters}


def training_curve(study: Study, field: str, caption: str, kind: str) -> Table:
    """Return the column `field` of the training metrics by step, one column a size (key: the size's name)."""
    by_step: dict[int, Row] = {}
    names = []
    for size in study.sizes:
        if size.metrics is None:
            continue
        names.append(size.name)
        for step, tokens, value in _thin(size.metrics, _per_step(size.metrics, field)):
            by_step.setdefault(step, {"step": step, "tokens": tokens})[size.name] = value
    return _wide(f"training_{field}", caption, by_step, names, study=study, kind=kind)


def _per_step(metrics: Metrics, field: str) -> tuple[Number, ...]:
    """Return one per-step column of the metrics by name: loss, grad_norm or learning_rate."""
    return {"loss": metrics.loss, "grad_norm": metrics.grad_norm, "learning_rate": metrics.learning_rate}[
        field
    ]


def _thin(metrics: Metrics, values: Sequence[Number]) -> list[tuple[int, int, Number]]:
    """Return (step, tokens, mean value) over equal groups of steps, named by each group's last step."""
    width = -(-len(values) // MOST_POINTS)
    groups = [range(i, min(i + width, len(values))) for i in range(0, len(values), width)]
    return [(metrics.steps[g[-1]], metrics.tokens[g[-1]], sum(values[i] for i in g) / len(g)) for g in groups]


def training_bits(study: Study) -> Table:
    """Return the held-out bits per byte measured during training, one column a size."""
    by_step: dict[int, Row] = {}
    names = []
    for size in study.sizes:
        if size.metrics and size.metrics.bits_per_byte:
            names.append(size.name)
            _add_points(by_step, size, size.metrics.bits_per_byte)
    return _wide(
        "training_bits_per_byte",
        "Held-out bits per byte during training",
        by_step,
        names,
        study=study,
        kind="bits",
    )


def training_few_shot(study: Study, task: str) -> Table:
    """Return the score of one in-loop few-shot evaluation, one column a size."""
    by_step: dict[int, Row] = {}
    names = []
    for size in study.sizes:
        if size.metrics and size.metrics.few_shot.get(task):
            names.append(size.name)
            _add_points(by_step, size, size.metrics.few_shot[task])
    return _wide(
        f"training_{task}",
        f"{task.replace('_', ' ')} during training",
        by_step,
        names,
        study=study,
        kind="percent",
    )


def _add_points(by_step: dict[int, Row], size: Size, points: Sequence[tuple[int, Number]]) -> None:
    tokens = dict(zip(size.metrics.steps, size.metrics.tokens, strict=True)) if size.metrics else {}
    for step, value in points:
        by_step.setdefault(step, {"step": step, "tokens": tokens.get(step)})[size.name] = value


def _wide(
    name: str, caption: str, by_step: dict[int, Row], names: list[str], *, study: Study, kind: str
) -> Table:
    labels = {size.name: numbers.parameters(size.parameters) for size in study.sizes}
    columns = [Column("step", "Step", "count"), Column("tokens", "Tokens", "count")]
    columns += [
        Column(size, size if labels[size] == numbers.MISSING else labels[size], kind) for size in names
    ]
    rows = [{**dict.fromkeys(names), **by_step[step]} for step in sorted(by_step)]
    return Table(name, caption, tuple(columns), tuple(rows))


def bits_per_byte(study: Study) -> Table:
    """Return held-out bits per byte by size with intervals, and section 6.2's projection for the largest."""
    rows = [
        {
            **_of_size(size),
            "bits_per_byte": held.bits_per_byte,
            "ci_low": held.ci_low,
            "ci_high": held.ci_high,
        }
        for size, summary in study.trained
        if (held := summary.heldout)
    ]
    scaling = study.scaling.bits_per_byte if study.scaling else None
    for row in rows:
        row["projection"] = (
            scaling.projection if scaling and study.scaling and _is_last(row, study.scaling) else None
        )
    columns = (
        *SIZE_COLUMNS,
        Column("bits_per_byte", "Bits per byte", "bits"),
        Column("ci_low", "95% from", "bits"),
        Column("ci_high", "to", "bits"),
        Column("projection", "Projection", "bits"),
    )
    return Table("bits_per_byte", "Held-out bits per byte by size", columns, tuple(rows))


def _is_last(row: Row, scaling: Scaling) -> bool:
    return bool(scaling.sizes) and row["size"] == scaling.sizes[-1].name


def task_scores(study: Study, task: str, title: str) -> Table:
    """Return one task's scores by number of shots and size, with interval, chance and projection."""
    rows: list[Row] = []
    for size in study.sizes:
        for result in size.results:
            if result.task != task:
                continue
            row = _of_size(size) | {"shots": result.shots, "score": result.score, "ci_low": result.ci_low}
            row |= {"ci_high": result.ci_high, "chance": result.chance, "items": result.n_items}
            row |= {
                "projection": None,
                "discontinuity": None,
                "discontinuity_low": None,
                "discontinuity_high": None,
            }
            scaling = _scaling_of(study, task, result.shots)
            if scaling and study.scaling and _is_last(row, study.scaling):
                low, high = scaling.discontinuity_ci or (None, None)
                row |= {"projection": scaling.projection, "discontinuity": scaling.discontinuity}
                row |= {"discontinuity_low": low, "discontinuity_high": high}
            rows.append(row)
    rows.sort(key=lambda row: row["shots"])
    columns = (
        Column("shots", "Shots", "count"),
        *SIZE_COLUMNS,
        Column("score", "Score", "percent"),
        Column("ci_low", "95% from", "percent"),
        Column("ci_high", "to", "percent"),
        Column("chance", "Chance", "percent"),
        Column("items", "Items", "count"),
        Column("projection", "Projection", "percent"),
        Column("discontinuity", "Discontinuity, points", "points"),
        Column("discontinuity_low", "95% from", "points"),
        Column("discontinuity_high", "to", "points"),
    )
    return Table(f"task_{task}", f"{title}: score by size and number of shots", columns, tuple(rows))


def _scaling_of(study: Study, task: str, shots: int) -> Any:
    tasks = study.scaling.tasks if study.scaling else ()
    return next((found for found in tasks if found.task == task and found.shots == shots), None)


_RATE_COLUMNS = (
    Column("spans", "Spans", "count"),
    Column("matches", "Exact", "count"),
    Column("rate", "Rate", "percent"),
    Column("ci_low", "95% from", "percent"),
    Column("ci_high", "to", "percent"),
    Column("matched_tokens", "Mean tokens right", "figures"),
)


def memorisation_by_size(study: Study) -> Table:
    """Return the share of spans completed exactly, training and held-out, by size (section 7)."""
    rows = [
        {**_of_size(size), "text": text, **_rate_row(rate)}
        for text in ("training", "held-out")
        for size in study.sizes
        if size.memorisation
        for rate in [size.memorisation.train if text == "training" else size.memorisation.heldout]
    ]
    columns = (Column("text", "Text"), *SIZE_COLUMNS, *_RATE_COLUMNS)
    return Table("memorisation_by_size", "Spans completed exactly, by size", columns, tuple(rows))


def memorisation_by_repetition(study: Study) -> Table:
    """Return the share of spans completed exactly by how often training held them, held-out spans first."""
    rows = [
        {**_of_size(size), "repetitions": group, **_rate_row(rate)}
        for size in study.sizes
        if size.memorisation
        for group, rate in [
            ("held-out", size.memorisation.heldout),
            *((found.repetitions, found) for found in size.memorisation.by_repetition),
        ]
    ]
    columns = (Column("repetitions", "Times seen"), *SIZE_COLUMNS, *_RATE_COLUMNS)
    return Table(
        "memorisation_by_repetition", "Spans completed exactly, by repetitions", columns, tuple(rows)
    )


def _rate_row(rate: Any) -> Row:
    return {
        key: getattr(rate, key) for key in ("spans", "matches", "rate", "ci_low", "ci_high", "matched_tokens")
    }


def contamination(study: Study, found: Contamination) -> Table:
    """Return every model's score on all items and on the clean ones, by task and shots (section 8)."""
    by_name = {size.name: size for size in study.sizes}
    rows = [
        {
            "task": task.task,
            "shots": score.shots,
            "size": score.model,
            "parameters": by_name[score.model].parameters if score.model in by_name else None,
            "full": score.full,
            "clean": score.clean,
            "delta": None if score.delta is None else 100 * score.delta,
        }
        for task in found.tasks
        for score in task.by_model
    ]
    rows.sort(key=lambda row: (row["task"], row["parameters"] or 0, row["shots"]))
    columns = (
        Column("task", "Task"),
        *SIZE_COLUMNS,
        Column("shots", "Shots", "count"),
        Column("full", "All items", "percent"),
        Column("clean", "Clean items", "percent"),
        Column("delta", "Clean − all, points", "points"),
    )
    return Table("contamination", "Scores on all items and on the clean ones", columns, tuple(rows))


def cost(study: Study) -> Table:
    """Return what training each size took: FLOPs, time, rate, utilisation, memory."""
    rows = [
        {
            **_of_size(size),
            "model_flops": summary.model_flops,
            "seconds": summary.timing.seconds,
            "tokens_per_second": summary.timing.tokens_per_second,
            "mfu": summary.timing.mfu,
            "mfu_causal": summary.timing.mfu_causal,
            "peak_memory_bytes": summary.timing.peak_memory_bytes,
        }
        for size, summary in study.trained
    ]
    columns = (
        *SIZE_COLUMNS,
        Column("model_flops", "Model FLOPs", "scientific"),
        Column("seconds", "Wall time", "duration"),
        Column("tokens_per_second", "Tokens/s", "count"),
        Column("mfu", "MFU", "percent"),
        Column("mfu_causal", "MFU, causal", "percent"),
        Column("peak_memory_bytes", "Peak memory", "bytes"),
    )
    return Table("cost", "What training each size took", columns, tuple(rows))
