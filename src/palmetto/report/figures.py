"""The study's figures, each drawn from its own data table: title, note, alternative text and panels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from palmetto.report import numbers, plots, tables
from palmetto.report.plots import Against, Pair, Series
from palmetto.report.schema import Study
from palmetto.report.style import HELDOUT, Plot, padded, size_colours
from palmetto.report.tables import Table


@dataclass(frozen=True)
class Panel:
    """One drawing area: `id` names its element on the page, `alt` says in words what it shows."""

    id: str
    title: str
    alt: str
    plot: Plot


@dataclass(frozen=True)
class Figure:
    """Panels drawn from one table. `legend` holds (text, colour, hollow) where labels stand apart."""

    title: str
    note: str
    table: Table
    panels: tuple[Panel, ...]
    legend: tuple[tuple[str, str, bool], ...] = ()
    log_switch: bool = False

    @property
    def id(self) -> str:
        """The name of the figure, also its CSV's."""
        return self.table.name


def _labels(study: Study) -> dict[str, str]:
    """Return each size's short label: its parameters, or its name while they are unknown."""
    return {s.name: s.name if s.parameters is None else numbers.parameters(s.parameters) for s in study.sizes}


def colours(study: Study) -> dict[str, str]:
    """Return each size's colour, the same in every figure."""
    return dict(zip((size.name for size in study.sizes), size_colours(len(study.sizes)), strict=True))


def _legend(study: Study) -> tuple[tuple[str, str, bool], ...]:
    labels, colour = _labels(study), colours(study)
    return tuple((labels[size.name], colour[size.name], False) for size in study.sizes)


def training_figures(study: Study) -> list[Figure]:
    """Return the curves over training: loss, bits per byte, few-shot, gradient norm, learning rate."""
    figures = [
        _curve(
            study,
            tables.training_curve(study, "loss", "Training loss", "bits"),
            "Training loss",
            "Nats per token",
        ),
        _curve(
            study,
            tables.training_bits(study),
            "Held-out bits per byte",
            "Measured during training; lower is better",
            marked=True,
        ),
    ]
    names = sorted({name for size in study.sizes if size.metrics for name in size.metrics.few_shot})
    for name in names:
        note = "A small few-shot evaluation during training"
        figures.append(
            _curve(
                study, tables.training_few_shot(study, name), _in_loop_title(study, name), note, marked=True
            )
        )
    for field, title in (("grad_norm", "Gradient norm"), ("learning_rate", "Learning rate")):
        note = (
            "Global norm before clipping"
            if field == "grad_norm"
            else "Of the optimizer, before scaling by each matrix's own size"
        )
        figures.append(
            _curve(study, tables.training_curve(study, field, title, "figures"), title, note, floor=0.0)
        )
    return [figure for figure in figures if figure.table.rows]


def _in_loop_title(study: Study, name: str) -> str:
    """Return `<task title> (<metric>)` for an in-loop evaluation called `<task>_<metric>`, else its name."""
    for size in study.sizes:
        for result in size.results:
            if name.startswith(f"{result.task}_"):
                return f"{result.title} ({name.removeprefix(result.task + '_')})"
    return name.replace("_", " ")


def _curve(
    study: Study, table: Table, title: str, note: str, *, marked: bool = False, floor: float | None = None
) -> Figure:
    labels, colour = _labels(study), colours(study)
    sizes = [column for column in table.columns if column.key not in ("step", "tokens")]
    steps = table.column("step")
    series = [Series(labels[c.key], colour[c.key], steps, table.column(c.key)) for c in sizes]
    kind = sizes[0].kind if sizes else "figures"
    plot = plots.curves(series, kind=kind, marked=marked, floor=floor)
    ends = [(labels[c.key], _ends(table.column(c.key), kind)) for c in sizes]
    alt = f"{title} by training step: " + "; ".join(f"{label} {text}" for label, text in ends) + "."
    return Figure(title, note, table, (Panel(f"plot-{table.name}", "", alt, plot),), log_switch=True)


def _ends(values: list[Any], kind: str) -> str:
    known = [value for value in values if value is not None]
    return (
        f"from {numbers.show(known[0], kind)} to {numbers.show(known[-1], kind)}" if known else "not measured"
    )


def bits_figure(study: Study) -> Figure | None:
    """Return bits per byte against parameters, or None when no size has been measured."""
    table = tables.bits_per_byte(study)
    if not table.rows:
        return None
    projection = table.rows[-1]["projection"]
    shown = Against(
        table.column("parameters"),
        table.column("bits_per_byte"),
        table.column("ci_low"),
        table.column("ci_high"),
        [colours(study)[name] for name in table.column("size")],
        projection=projection,
        departure=f"projected<br>{numbers.fixed(projection, 3)}",
    )
    span = padded([*table.column("ci_low"), *table.column("ci_high"), projection], 0.14)
    plot = plots.against_size(shown, kind="bits", span=span, height=340)
    parts = [
        f"{numbers.parameters(row['parameters'])} {numbers.fixed(row['bits_per_byte'])}" for row in table.rows
    ]
    alt = "Held-out bits per byte against parameters: " + ", ".join(parts)
    alt += f"; projection for the largest {numbers.fixed(projection)}." if projection is not None else "."
    note = "Lower is better. Bars are 95% intervals; the diamond goes on straight from the two sizes before."
    return Figure("Held-out bits per byte", note, table, (Panel("plot-bits_per_byte", "", alt, plot),))


def task_figures(study: Study) -> list[Figure]:
    """Return one figure a task, one panel for each number of shots, all panels on one scale."""
    titles = {result.task: result.title for size in study.sizes for result in size.results}
    return [_task(study, task, title) for task, title in sorted(titles.items())]


def _task(study: Study, task: str, title: str) -> Figure:
    table = tables.task_scores(study, task, title)
    ends = [
        *table.column("ci_low"),
        *table.column("ci_high"),
        *table.column("chance"),
        *table.column("projection"),
    ]
    span = padded(ends, 0.14)
    panels = []
    for shots in sorted(set(table.column("shots"))):
        rows = [row for row in table.rows if row["shots"] == shots and row["parameters"] is not None]
        if not rows:
            continue
        last = rows[-1]
        shown = Against(
            [row["parameters"] for row in rows],
            [row["score"] for row in rows],
            [row["ci_low"] for row in rows],
            [row["ci_high"] for row in rows],
            [colours(study)[row["size"]] for row in rows],
            chance=last["chance"],
            projection=last["projection"],
            departure=f"discontinuity<br>{numbers.points(last['discontinuity'])} points",
        )
        plot = plots.against_size(shown, kind="percent", span=span, height=270)
        parts = [f"{numbers.parameters(row['parameters'])} {numbers.percent(row['score'])}" for row in rows]
        alt = f"{title}, {shots}-shot, score against parameters: " + ", ".join(parts)
        alt += "" if last["chance"] is None else f"; chance {numbers.percent(last['chance'])}"
        if last["discontinuity"] is not None:
            alt += f"; discontinuity {numbers.points(last['discontinuity'])} points"
        panels.append(Panel(f"plot-task_{task}-{shots}", f"{shots}-shot", alt + ".", plot))
    return Figure(title, "", table, tuple(panels))


def memorisation_figures(study: Study) -> list[Figure]:
    """Return memorisation by size and by repetition, or none when it has not been measured."""
    by_size = tables.memorisation_by_size(study)
    rows = [row for row in by_size.rows if row["parameters"] is not None and row["rate"] is not None]
    if not rows:
        return []
    return [_memorised_by_size(by_size, rows), _memorised_by_repetition(study)]


def _memorised_by_size(table: Table, rows: list[tables.Row]) -> Figure:
    series = []
    for text, colour in (("training", size_colours(1)[0]), ("held-out", HELDOUT)):
        own = [row for row in rows if row["text"] == text]
        if own:
            keys = ("parameters", "rate", "ci_low", "ci_high")
            x, y, low, high = ([row[key] for row in own] for key in keys)
            series.append(Series(text, colour, x, y, low, high))
    span = _rate_span(rows)
    alt = "Share of spans completed exactly against parameters: " + "; ".join(
        f"{one.label} " + ", ".join(numbers.percent(value, 2) for value in one.y) for one in series
    )
    plot = plots.dots_by_size(series, span=span)
    note = "Share of 50-token continuations reproduced exactly by greedy decoding. Bars are 95% intervals."
    return Figure("By model size", note, table, (Panel("plot-memorisation_by_size", "", alt + ".", plot),))


def _memorised_by_repetition(study: Study) -> Figure:
    table = tables.memorisation_by_repetition(study)
    names = list(dict.fromkeys(table.column("repetitions")))
    spans = {row["repetitions"]: row["spans"] for row in table.rows}
    labels, colour = _labels(study), colours(study)
    series = []
    for size in study.sizes:
        own = [row for row in table.rows if row["size"] == size.name and row["rate"] is not None]
        if own:
            x = [names.index(row["repetitions"]) for row in own]
            y, low, high = ([row[key] for row in own] for key in ("rate", "ci_low", "ci_high"))
            series.append(Series(labels[size.name], colour[size.name], x, y, low, high))
    ticks = [
        f"{_times(name)}<br><span style='font-size:10px'>{numbers.count(spans[name])} spans</span>"
        for name in names
    ]
    plot = plots.groups(
        series, ticks, span=_rate_span([row for row in table.rows if row["rate"] is not None])
    )
    largest = [row for row in table.rows if row["size"] == study.sizes[-1].name]
    parts = [f"{row['repetitions']}: {numbers.percent(row['rate'])}" for row in largest]
    alt = (
        "Share of spans completed exactly by how often training held them, largest size: "
        + ", ".join(parts)
        + "."
    )
    note = "By how often the span occurs in the batches consumed; held-out spans on the left."
    panel = Panel("plot-memorisation_by_repetition", "", alt, plot)
    return Figure("By repetition", note, table, (panel,), legend=_legend(study))


def _times(name: str) -> str:
    """Return a group's tick: `held-out` as it is, counts with a times sign."""
    return (
        name if name == "held-out" else name.replace("-", "–").replace("<", "&lt;").replace(">", "&gt;") + "×"
    )


def _rate_span(rows: list[tables.Row]) -> tuple[float, float]:
    highest = max([row["ci_high"] or row["rate"] for row in rows] or [0.0])
    return (-0.03 * (highest or 0.01), 1.12 * (highest or 0.01))


def contamination_figure(study: Study) -> Figure | None:
    """Return scores on all and on clean items, one panel a task, or None when it has not been measured."""
    if study.contamination is None:
        return None
    table = tables.contamination(study, study.contamination)
    if not table.rows:
        return None
    labels, colour = _labels(study), colours(study)
    titles = {result.task: result.title for size in study.sizes for result in size.results}
    panels = []
    for task in dict.fromkeys(table.column("task")):
        own = [row for row in table.rows if row["task"] == task and row["size"] in labels]
        rows = [
            Pair(
                f"{labels[row['size']]} · {row['shots']}-shot", colour[row["size"]], row["full"], row["clean"]
            )
            for row in own
        ]
        if not rows:
            continue
        title = titles.get(task, task)
        plot = plots.pairs(rows, span=padded([*(r.full for r in rows), *(r.clean for r in rows)], 0.1))
        parts = [f"{row.label} {numbers.percent(row.full)} and {numbers.percent(row.clean)}" for row in rows]
        alt = f"{title}, score on all items and on clean items: " + "; ".join(parts) + "."
        panels.append(Panel(f"plot-contamination-{task}", title, alt, plot))
    legend = (("all items", "#263069", False), ("clean items only", "#263069", True))
    return Figure("Scores on all and on clean items", "", table, tuple(panels), legend=legend)


def cost_figure(study: Study) -> Figure | None:
    """Return the training FLOPs of each size, or None before the first has been trained."""
    table = tables.cost(study)
    if not table.rows:
        return None
    labels, colour = _labels(study), colours(study)
    names, flops = table.column("size"), table.column("model_flops")
    texts = [numbers.scientific(value) for value in flops]
    plot = plots.bars([labels[name] for name in names], flops, texts, [colour[name] for name in names])
    alt = (
        "Model FLOPs of training: "
        + ", ".join(f"{labels[n]} {t}" for n, t in zip(names, texts, strict=True))
        + "."
    )
    note = "Model FLOPs of the whole training run, forward and backward, attention included."
    return Figure("Training compute", note, table, (Panel("plot-cost", "", alt, plot),))


def all_figures(study: Study) -> Iterator[Figure]:
    """Yield every figure of the study, in the order of the page."""
    yield from training_figures(study)
    yield from (figure for figure in (bits_figure(study),) if figure)
    yield from task_figures(study)
    yield from memorisation_figures(study)
    yield from (figure for figure in (contamination_figure(study), cost_figure(study)) if figure)
