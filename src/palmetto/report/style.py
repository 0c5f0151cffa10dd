"""The look of every figure: one palette, one font, quiet axes, labels written beside what they name.

Colours run from light to dark with size and differ in hue and in lightness, so they survive colour blindness
and a black-and-white printer. A plot is a plain dict of plotly's `data` and `layout`.
"""

import re
from collections.abc import Sequence
from typing import Any

from palmetto.report.numbers import Number

INK = "#1f2933"
QUIET = "#5b6672"
GRID = "#e6e9ed"
RULE = "#b9c1ca"
ACCENT = "#b3401f"
"""Projections and what departs from them."""

HELDOUT = "#7b8794"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_STOPS = ((196, 129, 20), (31, 138, 128), (38, 48, 105))

LETTER = 7.4
"""Pixels a letter of a 12-pixel label may take, by the widest of the fonts in use."""

Plot = dict[str, Any]


def size_colours(n: int) -> list[str]:
    """Return `n` colours from amber over teal to navy, the largest size darkest."""
    if n == 1:
        return [_hex(_STOPS[-1])]
    colours = []
    for i in range(n):
        place = i / (n - 1) * (len(_STOPS) - 1)
        low = min(int(place), len(_STOPS) - 2)
        share = place - low
        colours.append(_hex([a + (b - a) * share for a, b in zip(_STOPS[low], _STOPS[low + 1], strict=True)]))
    return colours


def _hex(rgb: Sequence[Number]) -> str:
    return "#" + "".join(f"{round(part):02x}" for part in rgb)


def layout(height: int, *, left: int = 46, right: int = 40, top: int = 12, bottom: int = 42) -> Plot:
    """Return the layout all plots share; margins and height in pixels."""
    return {
        "height": height,
        "autosize": True,
        "margin": {"l": left, "r": right, "t": top, "b": bottom},
        "font": {"family": FONT, "size": 12, "color": QUIET},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": "#ffffff", "bordercolor": RULE, "font": {"family": FONT, "color": INK}},
        "dragmode": False,
        "annotations": [],
        "shapes": [],
    }


def axis(title: str = "", **more: Any) -> Plot:
    """Return a quiet axis; `more` are plotly's axis settings."""
    base: Plot = {
        "showgrid": False,
        "zeroline": False,
        "linecolor": RULE,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": RULE,
        "fixedrange": True,
        "automargin": False,
    }
    if title:
        base["title"] = {"text": title, "standoff": 8, "font": {"size": 12, "color": QUIET}}
    return base | more


def value_axis(low: Number, high: Number, **more: Any) -> Plot:
    """Return a value axis over [low, high]: faint grid lines, no axis line, few ticks."""
    settings: Plot = {
        "showgrid": True,
        "gridcolor": GRID,
        "showline": False,
        "ticks": "",
        "nticks": 6,
        "range": [low, high],
    }
    return axis(**(settings | more))


def padded(
    values: Sequence[Number | None], share: Number = 0.08, floor: Number | None = None
) -> tuple[Number, Number]:
    """Return a range a little wider than the values; it does not go below `floor`."""
    known = [value for value in values if value is not None] or [0.0, 1.0]
    low, high = min(known), max(known)
    pad = (high - low or abs(high) or 1.0) * share
    low, high = low - pad, high + pad
    return (low if floor is None else max(low, floor), high)


def spread(places: Sequence[Number], gaps: Sequence[Number]) -> list[Number]:
    """Move labels apart so that none overlaps, each as near its own place as the others allow.

    Args:
        places: where each label would like its middle, in pixels.
        gaps: the height of each label, in pixels.

    Returns:
        The middles, in the order given.
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    # Pool overlapping neighbours into blocks (start, height, members), as isotonic regression does.
    blocks: list[tuple[Number, Number, list[int]]] = []
    for i in order:
        block = (places[i] - gaps[i] / 2, gaps[i], [i])
        while blocks and blocks[-1][0] + blocks[-1][1] > block[0]:
            start, height, members = blocks.pop()
            n, m = len(members), len(block[2])
            # A block's start is the mean of where its members would have it start.
            shifted = block[0] - height
            block = ((start * n + shifted * m) / (n + m), height + block[1], members + block[2])
        blocks.append(block)
    result = [0.0] * len(places)
    for start, _, members in blocks:
        place = start
        for i in members:
            result[i] = place + gaps[i] / 2
            place += gaps[i]
    return result


def label_right(plot: Plot, labels: Sequence[tuple[str, Number, str]]) -> None:
    """Write labels into the right margin at heights in data units, moved apart where they would overlap.

    Args:
        plot: the figure; its y axis must have a range.
        labels: (text, y, colour); `<br>` makes a second line.
    """
    figure = plot["layout"]
    longest = max(
        (len(re.sub("<[^>]*>", "", line)) for text, _, _ in labels for line in text.split("<br>")), default=0
    )
    figure["margin"]["r"] = max(figure["margin"]["r"], round(14 + longest * LETTER))
    low, high = figure["yaxis"]["range"]
    inner = figure["height"] - figure["margin"]["t"] - figure["margin"]["b"]
    wanted = [(y - low) / (high - low) * inner for _, y, _ in labels]
    gaps = [15.0 * (1 + text.count("<br>")) + 1 for text, _, _ in labels]
    for (text, _, colour), place in zip(labels, spread(wanted, gaps), strict=True):
        figure["annotations"].append(
            {
                "text": text,
                "xref": "paper",
                "x": 1,
                "xanchor": "left",
                "xshift": 6,
                "yref": "paper",
                "y": place / inner,
                "yanchor": "middle",
                "align": "left",
                "showarrow": False,
                "font": {"size": 12, "color": colour},
            }
        )


def error_bars(
    values: Sequence[Number | None], lows: Sequence[Any], highs: Sequence[Any], colour: str
) -> Plot:
    """Return plotly's asymmetric error bars from interval ends in data units."""
    up = [
        0.0 if high is None or value is None else max(0.0, high - value)
        for value, high in zip(values, highs, strict=True)
    ]
    down = [
        0.0 if low is None or value is None else max(0.0, value - low)
        for value, low in zip(values, lows, strict=True)
    ]
    return {
        "type": "data",
        "symmetric": False,
        "array": up,
        "arrayminus": down,
        "color": colour,
        "thickness": 1.4,
        "width": 0,
    }
