"""The datasheet of the corpus: the sections of Gebru et al. (2021), filled from the study's manifests."""

from typing import Any

from palmetto.report import numbers
from palmetto.report.markdown import inline
from palmetto.report.page import corpus_rows, environment
from palmetto.report.schema import Study

MOST_ROWS = 20
"""Sources and file types listed one by one; the rest are summed."""


def render_datasheet(study: Study) -> str:
    """Return the datasheet as Markdown; a manifest that is not there yet is named as missing."""
    made = environment(html=False)
    made.filters["md"] = inline
    documents = study.documents or {}
    return made.get_template("datasheet.md.j2").render(
        study=study,
        documents=documents,
        source=documents.get("input", {}),
        counts=documents.get("counts", {}),
        corpus=corpus_rows(study),
        sources=_largest({name: (value,) for name, value in documents.get("sources", {}).items()}),
        suffixes=_largest(
            {
                name: (v.get("bytes", 0), v.get("documents", 0))
                for name, v in documents.get("suffixes", {}).items()
            }
        ),
        skipped=documents.get("skipped", []),
        normalisation=documents.get("normalisation", []),
        cut=documents.get("cut"),
        split=numbers.flatten(documents.get("split", {})),
    )


def _largest(table: dict[str, tuple[Any, ...]]) -> list[tuple[str, tuple[Any, ...]]]:
    """Return the rows from the largest first value down, all after the first `MOST_ROWS` summed into one."""
    rows = sorted(table.items(), key=lambda row: (-row[1][0], row[0]))
    rest = rows[MOST_ROWS:]
    if not rest:
        return rows
    summed = tuple(sum(values) for values in zip(*(values for _, values in rest), strict=True))
    return [*rows[:MOST_ROWS], (f"{len(rest)} others", summed)]
