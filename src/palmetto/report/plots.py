"""The forms a figure can take: curves over steps, values against size, groups, pairs of dots, bars.

Each takes plain numbers and returns plotly's `data` and `layout`; what they mean is `figures.py`'s concern.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from palmetto.report import numbers
from palmetto.report.numbers import Number
from palmetto.report.style import (
    ACCENT,
    INK,
    QUIET,
    RULE,
    Plot,
    axis,
    error_bars,
    label_right,
    layout,
    padded,
    value_axis,
)


@dataclass(frozen=True)
class Series:
    """One line or set of dots; `low` and `high` are interval ends, empty where there are none."""

    label: str
    colour: str
    x: Sequence[Number]
    y: Sequence[Number | None]
    low: Sequence[Number | None] = ()
    high: Sequence[Number | None] = ()


def curves(
    series: Sequence[Series],
    *,
    kind: str,
    height: int = 300,
    marked: bool = False,
    floor: Number | None = None,
) -> Plot:
    """Draw one line a series over training steps, named at its right end with its last value."""
    low, high = padded([value for one in series for value in one.y], floor=floor)
    percent: dict[str, Any] = {"tickformat": ".0%"} if kind == "percent" else {}
    figure = layout(height)
    figure |= {
        "xaxis": axis("Training step"),
        "yaxis": value_axis(low, high, **percent),
        "hovermode": "x unified",
    }
    plot: Plot = {"data": [], "layout": figure}
    labels = []
    for one in _merged(series):
        known = [(x, y) for x, y in zip(one.x, one.y, strict=True) if y is not None]
        if not known:
            continue
        plot["data"].append(
            {
                "type": "scatter",
                "mode": "lines+markers" if marked else "lines",
                "name": escape(one.label),
                "x": [x for x, _ in known],
                "y": [y for _, y in known],
                "line": {"color": one.colour, "width": 1.8},
                "marker": {"size": 5, "color": one.colour},
                "hovertemplate": "%{y:.1%}" if kind == "percent" else "%{y:.4~g}",
            }
        )
        last = numbers.fixed(known[-1][1], 2) if kind == "bits" else numbers.show(known[-1][1], kind)
        labels.append((f"<b>{escape(one.label)}</b> {last}", known[-1][1], one.colour))
    label_right(plot, labels)
    return plot


def _merged(series: Sequence[Series]) -> Sequence[Series]:
    """Return the series, or where all hold the same points a single one that says so."""
    first = series[0] if series else None
    if len(series) > 1 and first and all((one.x, one.y) == (first.x, first.y) for one in series):
        return [replace(series[-1], label="all sizes")]
    return series


@dataclass(frozen=True)
class Against:
    """Values against parameters for one measure, with what may be drawn beside them."""

    parameters: Sequence[int]
    values: Sequence[Number]
    low: Sequence[Number | None]
    high: Sequence[Number | None]
    colours: Sequence[str]
    chance: Number | None = None
    projection: Number | None = None
    departure: str = ""
    """What the largest size's distance from the projection is called, in at most two lines."""


def against_size(shown: Against, *, kind: str, span: tuple[Number, Number], height: int = 280) -> Plot:
    """Draw values with intervals against log parameters, chance as a dashed line, projection as a diamond."""
    figure = layout(height)
    percent: dict[str, Any] = {"tickformat": ".0%"} if kind == "percent" else {}
    figure |= {"xaxis": size_axis(shown.parameters), "yaxis": value_axis(*span, **percent)}
    plot: Plot = {"data": [], "layout": figure}
    labels: list[tuple[str, Number, str]] = []
    if shown.chance is not None:
        figure["shapes"].append(_across(shown.chance))
        labels.append((f"chance<br>{numbers.show(shown.chance, kind)}", shown.chance, QUIET))
    if shown.projection is not None and len(shown.values) >= 2:
        plot["data"] += _projection(shown, kind)
        labels.append((shown.departure, shown.projection, ACCENT))
    plot["data"].append(
        {
            "type": "scatter",
            "mode": "lines",
            "x": list(shown.parameters),
            "y": list(shown.values),
            "line": {"color": RULE, "width": 1.5},
            "hoverinfo": "skip",
        }
    )
    for i, (size, value) in enumerate(zip(shown.parameters, shown.values, strict=True)):
        text = numbers.show(value, kind)
        bounds = numbers.interval(shown.low[i], shown.high[i], kind)
        plot["data"].append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [size],
                "y": [value],
                "error_y": error_bars([value], [shown.low[i]], [shown.high[i]], shown.colours[i]),
                "marker": {"size": 9, "color": shown.colours[i]},
                "hovertemplate": f"{numbers.parameters(size)}: {text} {bounds}<extra></extra>",
            }
        )
        top = shown.high[i]
        figure["annotations"].append(
            {
                "x": math.log10(size),
                "y": value if top is None else max(value, top),
                "text": f"<b>{text}</b>",
                "showarrow": False,
                "yshift": 11,
                "font": {"size": 12, "color": shown.colours[i]},
            }
        )
    label_right(plot, labels)
    return plot


def _projection(shown: Against, kind: str) -> list[Plot]:
    """Return the dotted line from the size before the largest to the projection, and the diamond there."""
    assert shown.projection is not None
    ends = {"x": list(shown.parameters[-2:]), "y": [shown.values[-2], shown.projection]}
    text = numbers.show(shown.projection, kind)
    return [
        {
            "type": "scatter",
            "mode": "lines",
            **ends,
            "line": {"color": ACCENT, "width": 1.3, "dash": "dot"},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "x": [shown.parameters[-1]],
            "y": [shown.projection],
            "marker": {"symbol": "diamond-open", "size": 10, "color": ACCENT, "line": {"width": 1.6}},
            "hovertemplate": f"projected from the two sizes before: {text}<extra></extra>",
        },
    ]


def _across(y: Number) -> Plot:
    line = {"color": QUIET, "width": 1.3, "dash": "dash"}
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": y,
        "y1": y,
        "line": line,
        "layer": "between",
    }


def size_axis(parameters: Sequence[int]) -> Plot:
    """Return a log axis of parameters whose only ticks are the sizes themselves."""
    ends = [math.log10(parameters[0]), math.log10(parameters[-1])]
    pad = 0.16 * (ends[1] - ends[0]) or 0.5
    return axis(
        "Parameters (log scale)",
        type="log",
        range=[ends[0] - pad, ends[1] + pad],
        tickvals=list(parameters),
        ticktext=[numbers.parameters(size) for size in parameters],
    )


def dots_by_size(series: Sequence[Series], *, span: tuple[Number, Number], height: int = 280) -> Plot:
    """Draw rates with intervals against parameters on a log axis, one named line a series (x: parameters)."""
    figure = layout(height)
    figure |= {
        "xaxis": size_axis([int(x) for x in series[0].x]),
        "yaxis": value_axis(*span, tickformat=".1~%"),
    }
    plot: Plot = {"data": [], "layout": figure}
    labels = []
    for one in series:
        plot["data"].append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": escape(one.label),
                "x": list(one.x),
                "y": list(one.y),
                "line": {"color": one.colour, "width": 1.6},
                "marker": {"size": 8, "color": one.colour},
                "error_y": error_bars(one.y, one.low, one.high, one.colour),
                "hovertemplate": "%{y:.2%}<extra>" + escape(one.label) + "</extra>",
            }
        )
        last = one.y[-1]
        if last is not None:
            labels.append((f"<b>{escape(one.label)}</b><br>{numbers.percent(last)}", last, one.colour))
    label_right(plot, labels)
    return plot


def groups(
    series: Sequence[Series], names: Sequence[str], *, span: tuple[Number, Number], height: int = 300
) -> Plot:
    """Draw rates with intervals over named groups, the series side by side; x counts the groups from 0."""
    figure = layout(height, right=12, bottom=62)
    ticks = list(range(len(names)))
    figure["xaxis"] = axis("", tickvals=ticks, ticktext=list(names), range=[-0.5, len(names) - 0.5], ticks="")
    figure["yaxis"] = value_axis(*span, tickformat=".0%")
    plot: Plot = {"data": [], "layout": figure}
    for i, one in enumerate(series):
        offset = (i - (len(series) - 1) / 2) * min(0.18, 0.6 / len(series))
        plot["data"].append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": escape(one.label),
                "x": [x + offset for x in one.x],
                "y": list(one.y),
                "marker": {"size": 8, "color": one.colour},
                "error_y": error_bars(one.y, one.low, one.high, one.colour),
                "hovertemplate": "%{y:.1%}<extra>" + escape(one.label) + "</extra>",
            }
        )
    return plot


@dataclass(frozen=True)
class Pair:
    """One row of a dumbbell plot."""

    label: str
    colour: str
    full: Number
    clean: Number | None


def pairs(rows: Sequence[Pair], *, span: tuple[Number, Number]) -> Plot:
    """Draw each row's two values as a filled and a hollow dot joined by a line, the first row on top."""
    figure = layout(46 + 23 * len(rows), left=92, right=14, top=4)
    places = [len(rows) - 1 - i for i in range(len(rows))]
    figure["xaxis"] = axis(
        "Score", range=list(span), tickformat=".0%", showgrid=True, gridcolor="#e6e9ed", nticks=5
    )
    names = [escape(row.label) for row in rows]
    figure["yaxis"] = axis(
        "", tickvals=places, ticktext=names, range=[-0.6, len(rows) - 0.4], ticks="", showline=False
    )
    plot: Plot = {"data": [], "layout": figure}
    for row, place in zip(rows, places, strict=True):
        both = [row.full] if row.clean is None else [row.full, row.clean]
        text = f"all {numbers.percent(row.full)}, clean {numbers.percent(row.clean)}<extra></extra>"
        plot["data"].append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": both,
                "y": [place] * len(both),
                "line": {"color": RULE, "width": 1.5},
                "marker": {
                    "size": 9,
                    "symbol": ["circle", "circle-open"][: len(both)],
                    "color": row.colour,
                    "line": {"width": 1.8},
                },
                "hovertemplate": text,
            }
        )
    return plot


def bars(
    labels: Sequence[str], values: Sequence[Number], texts: Sequence[str], colours: Sequence[str]
) -> Plot:
    """Draw one horizontal bar a label, its value written after it, the first on top."""
    figure = layout(36 + 40 * len(labels), left=58, right=14, top=4, bottom=12)
    places = [len(labels) - 1 - i for i in range(len(labels))]
    # The longest bar leaves a third of the width for the text after it.
    figure["xaxis"] = axis(
        "", range=[0, max(values) * 1.5 or 1], showticklabels=False, ticks="", showline=False
    )
    figure["yaxis"] = axis("", tickvals=places, ticktext=[escape(label) for label in labels], ticks="")
    bar = {
        "type": "bar",
        "orientation": "h",
        "x": list(values),
        "y": places,
        "width": 0.6,
        "marker": {"color": list(colours)},
        "text": [escape(text) for text in texts],
        "textposition": "outside",
        "cliponaxis": False,
        "textfont": {"color": INK},
        "hoverinfo": "skip",
    }
    return {"data": [bar], "layout": figure}
