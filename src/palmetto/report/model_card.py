"""The model card: every row of the paper's appendix E (Mitchell et al. 2019), from the study's files."""

from palmetto.report import numbers, words
from palmetto.report.markdown import inline
from palmetto.report.page import (
    corpus_rows,
    environment,
    family_rows,
    hardware_rows,
    setting_rows,
    size_label,
)
from palmetto.report.schema import Study


def render_model_card(study: Study) -> str:
    """Return the model card as Markdown; a row whose stage has not run yet says so."""
    made = environment(html=False)
    made.filters["md"] = inline
    return made.get_template("model_card.md.j2").render(
        study=study,
        info=study.info,
        labels={size.name: size_label(size) for size in study.sizes},
        family=family_rows(study),
        settings=setting_rows(study),
        corpus=corpus_rows(study),
        hardware=hardware_rows(study),
        versions=numbers.flatten(study.info.versions),
        cost=words.cost(study),
        energy_text=words.energy_text,
        mass_text=words.mass_text,
        summary=words.summary(study),
        limits=words.limits(study),
        results=_results(study),
        memorised=[(size, size.memorisation) for size in study.sizes if size.memorisation],
    )


def _results(study: Study) -> list[tuple[str, str, str, list[str]]]:
    """Return (task, shots, chance, one cell a size: score and interval) for every task setting."""
    settings = sorted({(result.task, result.shots) for size in study.sizes for result in size.results})
    rows = []
    for task, shots in settings:
        found = {
            size.name: r for size in study.sizes for r in size.results if (r.task, r.shots) == (task, shots)
        }
        cells = [
            f"{numbers.percent(r.score)} {numbers.interval(r.ci_low, r.ci_high, 'percent')}"
            if (r := found.get(size.name))
            else numbers.MISSING
            for size in study.sizes
        ]
        first = next(iter(found.values()))
        rows.append((first.title, str(shots), numbers.percent(first.chance), cells))
    return rows
