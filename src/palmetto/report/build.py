"""Builds the report of a study: the page, the model card, the datasheet and one CSV a figure.

Equal inputs give equal bytes: element names are fixed and no date enters but what the study's files hold.
"""

from pathlib import Path

from palmetto.common.files import write_text
from palmetto.common.progress import Reporter
from palmetto.report.data import load_study
from palmetto.report.datasheet import render_datasheet
from palmetto.report.figures import all_figures
from palmetto.report.model_card import render_model_card
from palmetto.report.page import render_page


def build_report(study: Path, out: Path, reporter: Reporter) -> None:
    """Write `index.html`, `model_card.md`, `datasheet.md` and `figures/*.csv` into the existing folder `out`.

    Args:
        study: a study folder; stages that have not run yet are named as missing on the page.
        out: an existing, empty folder.
        reporter: shows progress.

    Raises:
        PalmettoError: `study` is not a study folder, or one of its files is damaged (the message names it).
    """
    with reporter.bar("report", 5, "pages") as bar:
        found = load_study(study)
        bar.advance()
        for figure in all_figures(found):
            write_text(out / "figures" / f"{figure.table.name}.csv", figure.table.csv())
        bar.advance()
        write_text(out / "index.html", render_page(found))
        bar.advance()
        write_text(out / "model_card.md", render_model_card(found))
        bar.advance()
        write_text(out / "datasheet.md", render_datasheet(found))
        bar.advance()
