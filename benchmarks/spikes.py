"""Makes the runs of `docs/spikes.md`, its figures, the table beside each, and prints its numbers.

Run: NPROC=2 python benchmarks/spikes.py [scratch folder]. The runs are the drills' (`drills/spike_runs.py`), about
five minutes on two idle cores; a folder that holds them already is only read. Losses are nats a token.
"""

import csv
import math
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "drills"))

from spike_runs import (  # noqa: E402
    PLANT_KINDS,
    PLANTED,
    PLANTED_STEPS,
    SEEDS,
    UNIFORM,
    Replay,
    Run,
    Text,
    ablation,
    excess,
    planted_runs,
    unstable_runs,
)

OUT = ROOT / "docs" / "spikes"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 380, 64, 16, 44, 48
# Higher losses are drawn here; the tables have them all.
CUT = 12.0
COLOURS = {"calm": "#2a7f62", "clean": "#2a7f62", "with": "#1f5fbf", "without": "#c0392b", "other": "#8a8a8a"}


@dataclass(frozen=True)
class Line:
    """One curve: points (x, y) of one kind of run."""

    kind: str
    label: str
    points: list[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """Axes and what is on them."""

    title: str
    x_label: str
    y_label: str
    lines: list[Line]
    span: tuple[float, float] | None = None
    highest: float = math.inf

    def svg(self) -> str:
        """Return the drawing."""
        xs = [x for line in self.lines for x, _ in line.points]
        ys = [min(y, self.highest) for line in self.lines for _, y in line.points]
        y_ticks = _ticks(min(ys), max(ys))
        low, high = min(y_ticks[0], *ys), max(y_ticks[-1], *ys)

        def place(x: float, y: float) -> tuple[float, float]:
            across = (x - min(xs)) / (max(xs) - min(xs))
            up = (min(y, self.highest) - low) / (high - low)
            return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
            f'height="{HEIGHT}" font-family="sans-serif" font-size="12" role="img" aria-label="{self.title}">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            f'<text x="{LEFT}" y="18" font-size="14">{self.title}</text>',
        ]
        if self.span is not None:
            left, right = place(self.span[0], low)[0], place(self.span[1], low)[0]
            parts.append(
                f'<rect x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{HEIGHT - TOP - BOTTOM}" '
                'fill="#f3e3c2"/>'
            )
        for tick in y_ticks:
            y = place(min(xs), tick)[1]
            parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
        for tick in _ticks(min(xs), max(xs)):
            x = place(tick, low)[0]
            parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>')
        for line in self.lines:
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line.points))
            dash = ' stroke-dasharray="5 4"' if line.dashed else ""
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{COLOURS[line.kind]}" stroke-width="1.5"{dash}/>'
            )
        x = float(LEFT)
        for line in {line.label: line for line in self.lines}.values():
            dash = ' stroke-dasharray="5 4"' if line.dashed else ""
            parts.append(
                f'<path d="M{x:.0f} 32h22" stroke="{COLOURS[line.kind]}" stroke-width="2"{dash}/>'
                f'<text x="{x + 28:.0f}" y="36">{line.label}</text>'
            )
            x += 44 + 6.4 * len(line.label)
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 10}" text-anchor="middle">{self.x_label}</text>')
        parts.append(
            f'<text transform="translate(16 {HEIGHT / 2:.0f}) rotate(-90)" text-anchor="middle">{self.y_label}</text>'
        )
        return "\n".join([*parts, "</svg>"]) + "\n"


def _ticks(low: float, high: float) -> list[float]:
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 8)
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def write_table(name: str, header: tuple[str, ...], rows: list[tuple]) -> None:
    with (OUT / f"{name}.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def planted(runs: dict[tuple[str, str, int], Run]) -> None:
    rows, lines = [], []
    for (kind, remedy, seed), run in runs.items():
        rows += [(kind, remedy, seed, step, loss) for step, loss in run.heldout.items()]
    write_table("planted", ("planted", "remedy", "seed", "step", "heldout_loss"), rows)
    for kind, remedy, colour, label in (
        ("random", "without", "without", "random tokens planted, without the remedy"),
        ("clean", "with", "clean", "clean"),
        ("random", "with", "with", "planted, with the remedy"),
    ):
        for seed in SEEDS:
            points = [(s, loss) for s, loss in runs[kind, remedy, seed].heldout.items() if s >= 60]
            lines.append(Line(colour, label, points, dashed=colour == "with"))
    chart = Chart(
        "Twenty batches of random tokens, three seeds",
        "update",
        "held-out loss, nats a token",
        lines,
        span=(PLANTED.start, PLANTED.stop),
    )
    (OUT / "planted.svg").write_text(chart.svg(), encoding="utf-8")
    ends = [runs["clean", "with", seed].heldout[PLANTED_STEPS] for seed in SEEDS]
    print(f"clean, end: {show(ends)} (range {max(ends) - min(ends):.3f})")
    for kind in PLANT_KINDS:
        for remedy in ("without", "with"):
            found = excess(runs, kind, remedy)
            entries = [runs[kind, remedy, seed].rewinds for seed in SEEDS]
            seen = [
                (e["spike"]["signal"], e["spike"]["first_batch"], e["spike"]["seen_batch"], e["to_step"],
                 e["first_batch"], e["end_batch"])
                for each in entries for e in each
            ]  # fmt: skip
            window, end = list(found.window.values()), list(found.end.values())
            print(
                f"{kind}, {remedy}: window {show(window)} mean {np.mean(window):+.3f}; end {show(end)} mean "
                f"{np.mean(end):+.3f}; rewinds {seen}"
            )


def instability(runs: dict[tuple[str, int], Run]) -> None:
    rows, lines = [], []
    for (name, seed), run in runs.items():
        for row in run.rows:
            rows.append((name, seed, row["step"], row["batch"], row["loss"], row.get("heldout", "")))
    write_table("instability", ("run", "seed", "step", "batch", "loss", "heldout_loss"), rows)
    for name, label in (
        ("without", "raised, without the remedy"),
        ("calm", "not raised"),
        ("with", "raised, with the remedy"),
    ):
        for seed in SEEDS:
            lines.append(
                Line(
                    name,
                    label,
                    [point for point in runs[name, seed].heldout.items() if math.isfinite(point[1])],
                    dashed=name == "with",
                )
            )
    chart = Chart(
        "The learning rate raised, three seeds",
        "update",
        f"held-out loss, nats a token (cut off at {CUT:g})",
        lines,
        highest=CUT,
    )
    (OUT / "instability.svg").write_text(chart.svg(), encoding="utf-8")
    for name in ("calm", "without", "with"):
        each = [runs[name, seed] for seed in SEEDS]
        ends = [run.end for run in each]
        highest = [run.losses[50:].max() for run in each]
        share = [float(np.mean(run.losses[50:] > UNIFORM)) for run in each]
        rewinds = [[(e["spike"]["first_step"], e["to_step"]) for e in run.rewinds] for run in each]
        print(
            f"{name}: end {show(ends)}; highest loss {show(highest)}; above ln V {show(share)}; rewinds {rewinds}"
        )


def replayed(replays: list[Replay]) -> None:
    rows = [
        (r.seed, r.kind, r.checkpoint, number, float(loss))
        for r in replays
        for number, loss in enumerate(r.losses)
    ]
    write_table("ablation", ("batches_of_seed", "kind", "checkpoint", "batch", "loss"), rows)
    labels = {
        "own": ("without", "its own checkpoint"),
        "earlier": ("with", "earlier ones of the same run"),
        "calm": ("calm", "the calm run's"),
    }
    lines = []
    for kind, (colour, label) in labels.items():
        for replay in replays:
            points = [(float(number), float(loss)) for number, loss in enumerate(replay.losses)]
            if replay.kind == kind:
                lines.append(Line(colour, label, points))
    chart = Chart(
        "The batches around each seed's first spike, trained on again from",
        "batches",
        f"training loss, nats a token (cut off at {CUT:g})",
        lines,
        highest=CUT,
    )
    (OUT / "ablation.svg").write_text(chart.svg(), encoding="utf-8")
    for r in replays:
        print(
            f"batches of seed {r.seed} ({len(r.losses)}), {r.kind}, {r.checkpoint}: highest {r.losses.max():.2f}"
            f"{' spiked' if r.spiked else ''}{' same bits' if r.same else ''}"
        )


def show(values: list[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        text = Text(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(made))
        planted(planted_runs(text))
        runs = unstable_runs(text)
        instability(runs)
        replayed(ablation(text, runs))


if __name__ == "__main__":
    main()
