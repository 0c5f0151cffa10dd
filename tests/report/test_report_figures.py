"""Figures: each from its own table, valid for plotly, labels apart."""

import csv
import io
from itertools import pairwise
from pathlib import Path

import plotly.graph_objects as go
import pytest
from fake_study import make_study
from hypothesis import given
from hypothesis import strategies as st

from palmetto.report import style, tables
from palmetto.report.data import load_study
from palmetto.report.figures import all_figures, bits_figure, task_figures, training_figures
from palmetto.report.schema import Study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return load_study(make_study(tmp_path_factory.mktemp("figures") / "starter"))


def test_every_plot_is_valid_plotly(study: Study) -> None:
    # Oracle: plotly's own validation of every property.
    for figure in all_figures(study):
        for panel in figure.panels:
            go.Figure(panel.plot)


def test_names_and_alternative_texts_are_there_and_unique(study: Study) -> None:
    panels = [panel for figure in all_figures(study) for panel in figure.panels]
    assert len({panel.id for panel in panels}) == len(panels)
    assert all(len(panel.alt) > 20 and panel.alt.endswith(".") for panel in panels)


def test_the_figures_the_report_promises_are_drawn(study: Study) -> None:
    names = {figure.id for figure in all_figures(study)}
    assert names >= {
        "training_loss",
        "training_bits_per_byte",
        "bits_per_byte",
        "task_cloze",
        "task_continuation",
        "task_copy",
        "memorisation_by_size",
        "memorisation_by_repetition",
        "contamination",
        "cost",
    }


def test_a_task_figure_has_chance_line_projection_and_named_discontinuity(study: Study) -> None:
    copy = next(figure for figure in task_figures(study) if figure.id == "task_copy")
    assert [panel.title for panel in copy.panels] == ["0-shot", "1-shot", "5-shot"]
    plot = copy.panels[0].plot
    (chance,) = plot["layout"]["shapes"]
    assert chance["y0"] == 0.05 and chance["line"]["dash"] == "dash"
    (diamond,) = [t for t in plot["data"] if t.get("marker", {}).get("symbol") == "diamond-open"]
    assert diamond["y"] == pytest.approx([2 * 0.049 - 0.052])
    assert any("discontinuity<br>+18.5 points" in note["text"] for note in plot["layout"]["annotations"])


def test_the_largest_size_alone_carries_the_projection_of_bits_per_byte(study: Study) -> None:
    figure = bits_figure(study)
    assert figure is not None
    assert figure.table.column("projection") == [None, None, 2.13]


def test_csv_holds_full_precision_and_empty_cells(study: Study) -> None:
    table = tables.bits_per_byte(study)
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert [float(row["bits_per_byte"]) for row in rows] == table.column("bits_per_byte")
    assert rows[0]["projection"] == ""


def test_long_runs_are_averaged_over_equal_groups_of_steps(tmp_path: Path) -> None:
    study = load_study(make_study(tmp_path / "long", sizes=("palm_160k",), steps=1000))
    table = tables.training_curve(study, "loss", "Training loss", "bits")
    metrics = study.sizes[0].metrics
    assert metrics is not None
    assert len(table.rows) <= tables.MOST_POINTS
    assert table.rows[0]["step"] == 3 and table.rows[-1]["step"] == 1000
    assert table.rows[0]["palm_160k"] == pytest.approx(sum(metrics.loss[:3]) / 3)


def test_coinciding_lines_become_one(study: Study) -> None:
    rate = next(figure for figure in training_figures(study) if figure.id == "training_learning_rate")
    assert [trace["name"] for trace in rate.panels[0].plot["data"]] == ["all sizes"]


def test_a_long_table_shows_some_rows_and_always_the_last(study: Study) -> None:
    table = tables.training_curve(study, "loss", "Training loss", "bits")
    shown = table.shown(10)
    assert len(shown) == 10 and shown[0][0] == "1" and shown[-1][0] == "200"


@given(st.lists(st.tuples(st.floats(-500, 500), st.floats(5, 40)), max_size=8))
def test_labels_moved_apart_never_overlap(labels: list[tuple[float, float]]) -> None:
    places, gaps = [place for place, _ in labels], [gap for _, gap in labels]
    middles = style.spread(places, gaps)
    placed = sorted(zip(middles, gaps, strict=True))
    for (low, gap), (high, next_gap) in pairwise(placed):
        assert high - low >= (gap + next_gap) / 2 - 1e-6


def test_labels_with_room_stay_in_place() -> None:
    assert style.spread([10.0, 100.0, 50.0], [16.0, 16.0, 16.0]) == pytest.approx([10.0, 100.0, 50.0])


@pytest.mark.parametrize("n", range(1, 10))
def test_sizes_get_different_colours_that_stand_out_from_white(n: int) -> None:
    # Oracle: WCAG 2.1's relative luminance; graphical objects need a contrast of 3:1.
    found = style.size_colours(n)
    assert len(set(found)) == n
    for colour in [*found, style.ACCENT, style.HELDOUT]:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        luminance = sum(w * part for w, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
        assert 1.05 / (luminance + 0.05) >= 3
