"""What the numbers say, in words: the summary, the cost estimate and the limits.

A difference between two sizes counts only where the paired interval excludes zero, and the text says so where
it does not. "Discontinuity" is used as section 6.2 of the paper does.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

from palmetto.report import numbers
from palmetto.report.schema import BitsScaling, MatchRate, Paired, Size, Study, TaskScaling

BEYOND, WITHIN, BELOW = "larger size ahead", "within the interval", "smaller size ahead"


@dataclass(frozen=True)
class Point:
    """One finding: what it is about and the sentences."""

    lead: str
    text: str


@dataclass(frozen=True)
class Cost:
    """Time of the whole study, and energy and CO2e estimated from stated watts and grid figures."""

    seconds: float | None
    model_flops: float
    kwh: float | None = None
    kg_co2e: float | None = None
    pue: float = 1.0


def verdict(pair: Paired) -> str:
    """Return which size is ahead beyond the paired interval, or that neither is."""
    if pair.ci_low > 0:
        return BEYOND
    return BELOW if pair.ci_high < 0 else WITHIN


def widest(task: TaskScaling, sizes: list[str]) -> Paired | None:
    """Return the comparison of the smallest with the largest of `sizes`, or None."""
    found = [pair for pair in task.paired if (pair.small, pair.large) == (sizes[0], sizes[-1])]
    return found[0] if found else None


def cost(study: Study) -> Cost:
    """Return what the study took: kWh = watts x hours x PUE / 1000, CO2e = kWh x kg per kWh (section 4.1)."""
    seconds = [stage.timing.seconds for stage in study.info.stages if stage.timing.seconds is not None]
    seconds = seconds or [summary.timing.seconds for _, summary in study.trained]
    total = sum(seconds) if seconds else None
    flops = math.fsum(summary.model_flops for _, summary in study.trained)
    energy = study.info.energy
    if energy is None or total is None:
        return Cost(total, flops)
    pue = 1.0 if energy.pue is None else energy.pue
    kwh = energy.watts / 1000 * total / 3600 * pue
    return Cost(total, flops, kwh, kwh * energy.kg_co2e_per_kwh, pue)


def energy_text(kwh: float | None) -> str:
    """Return an energy in Wh below one kWh, else in kWh."""
    if kwh is None:
        return numbers.MISSING
    return f"{numbers.figures(1000 * kwh, 2)} Wh" if kwh < 1 else f"{numbers.figures(kwh, 3)} kWh"


def mass_text(kilograms: float | None) -> str:
    """Return a mass of CO2e in grams below one kilogram, else in kilograms."""
    if kilograms is None:
        return numbers.MISSING
    return (
        f"{numbers.figures(1000 * kilograms, 2)} g"
        if kilograms < 1
        else f"{numbers.figures(kilograms, 3)} kg"
    )


def summary(study: Study) -> list[Point]:
    """Return the findings of the study, from its numbers alone."""
    parts = (_trained(study), _bits(study), _tasks(study), _jumps(study), _memorised(study), _spent(study))
    return [point for point in parts if point]


def _label(size: Size) -> str:
    return size.name if size.parameters is None else numbers.parameters(size.parameters)


def _trained(study: Study) -> Point | None:
    trained = study.trained
    if not trained:
        return Point(
            "Training",
            "No size has finished training yet; what follows is what the study folder holds so far.",
        )
    tokens = sorted({summary.tokens for _, summary in trained})
    shown = (
        numbers.count(tokens[0])
        if len(tokens) == 1
        else f"{numbers.count(tokens[0])} to {numbers.count(tokens[-1])}"
    )
    if len(trained) == 1:
        return Point(
            "Family", f"One PaLM model of {_label(trained[0][0])} parameters was trained on {shown} tokens."
        )
    skipped = [size.name for size, summary in trained if summary.batches.skipped]
    same = "on the same batches in the same order"
    if skipped:
        same = f"on the same batches in the same order, except that {', '.join(skipped)} skipped some"
    ratio = trained[-1][1].parameters / trained[0][1].parameters
    return Point(
        "Family",
        f"{len(trained)} PaLM models from {_label(trained[0][0])} to {_label(trained[-1][0])} parameters, "
        f"{numbers.figures(ratio, 2)} times apart, were trained on {shown} tokens each, {same}.",
    )


def _bits(study: Study) -> Point | None:
    held = [(size, summary.heldout) for size, summary in study.trained if summary.heldout]
    if not held:
        return None
    (small, first), (large, last) = held[0], held[-1]
    if len(held) == 1:
        return Point(
            "Prediction",
            f"Held-out text costs {_label(small)} {numbers.fixed(first.bits_per_byte)} bits per byte.",
        )
    bits = study.scaling.bits_per_byte if study.scaling else None
    change = last.bits_per_byte - first.bits_per_byte
    direction = "fell" if change < 0 else "rose"
    apart = last.ci_high < first.ci_low or first.ci_high < last.ci_low
    text = (
        f"Held-out bits per byte {direction} from {numbers.fixed(first.bits_per_byte)} ({_label(small)}) to "
        f"{numbers.fixed(last.bits_per_byte)} ({_label(large)}), "
        f"{numbers.percent(abs(change) / first.bits_per_byte, 0)} {'less' if change < 0 else 'more'}; "
        f"{_saving(bits, small.name, large.name, apart)}."
    )
    if bits and bits.projection is not None:
        gap = last.bits_per_byte - bits.projection
        side = "above" if gap > 0 else "below"
        text += (
            " Going on in a straight line from the two sizes before would have given "
            f"{numbers.fixed(bits.projection)}; the largest lies {numbers.fixed(abs(gap))} {side} that: "
            f"its step bought {'less' if gap > 0 else 'more'} than the step before."
        )
    return Point("Prediction", text)


def _saving(bits: BitsScaling | None, small: str, large: str, apart: bool) -> str:
    """Return how sure the difference is: paired over documents where that was measured, else by the intervals."""
    for pair in bits.paired if bits else ():
        if (pair.small, pair.large) == (small, large):
            sure = "beyond chance" if pair.ci_low > 0 or pair.ci_high < 0 else "which may be chance"
            return (
                f"over the same documents it saves {numbers.fixed(pair.difference)} "
                f"[{numbers.fixed(pair.ci_low)}, {numbers.fixed(pair.ci_high)}], {sure}"
            )
    return f"the two intervals {'do not overlap' if apart else 'overlap'}"


def _tasks(study: Study) -> Point | None:
    if study.scaling is None or len(study.scaling.sizes) < 2:
        return None
    sizes = [size.name for size in study.scaling.sizes]
    compared = [(task, pair) for task in study.scaling.tasks if (pair := widest(task, sizes))]
    if not compared:
        return None
    wins = [entry for entry in compared if verdict(entry[1]) == BEYOND]
    losses = [entry for entry in compared if verdict(entry[1]) == BELOW]
    within = len(compared) - len(wins) - len(losses)
    text = (
        f"In {len(wins)} of {len(compared)} task settings (a task at a number of shots) the largest size is "
        "ahead of the smallest beyond the paired interval"
    )
    if within:
        text += f"; in {within} the difference lies within it, which is no evidence of one"
    text += f"; in {len(losses) or 'none'} the smallest is ahead beyond it."
    if wins:
        task, pair = max(wins, key=lambda entry: entry[1].difference)
        text += (
            f" The widest gap is {task.title}, {task.shots}-shot: {numbers.percent(task.scores[0])} to "
            f"{numbers.percent(task.scores[-1])}, {_points(pair)} points."
        )
    tested = [task for task in study.scaling.tasks if task.chance is not None]
    above = [task for task in tested if task.chance is not None and task.ci[-1][0] > task.chance]
    text += (
        f" The largest size is above chance, interval included, in {len(above)} of {len(tested)} settings."
    )
    return Point("Tasks", text)


def _points(pair: Paired) -> str:
    low, high = numbers.points(100 * pair.ci_low), numbers.points(100 * pair.ci_high)
    return f"{numbers.points(100 * pair.difference)} [{low}, {high}]"


def _jumps(study: Study) -> Point | None:
    tasks = [task for task in study.scaling.tasks if task.discontinuity is not None] if study.scaling else []
    if not tasks or study.scaling is None:
        return None
    sure = [task for task in tasks if task.discontinuity_ci and task.discontinuity_ci[0] > 0]
    over_10, over_20 = _share(study.scaling.share_over_10_points), _share(study.scaling.share_over_20_points)
    text = (
        "A discontinuity is how far the largest size lies above the straight line through the two before it "
        f"(section 6.2). It exceeds +10 points in {over_10} of the settings and +20 points in {over_20} "
        f"(the paper's 150 tasks: 25% and 15%); its interval lies above zero in {len(sure)} of {len(tasks)}."
    )
    return Point("Discontinuity", text)


def _share(value: float | None) -> str:
    return "an unknown share" if value is None else numbers.percent(value, 0)


def _memorised(study: Study) -> Point | None:
    measured = [(size, size.memorisation) for size in study.sizes if size.memorisation]
    if not measured:
        return None
    small, large = measured[0], measured[-1]
    train, held = large[1].train, large[1].heldout
    text = (
        f"{_label(large[0])} continues {_rate(train)} of training spans exactly and {_rate(held)} of "
        f"held-out spans; the two intervals {'do not overlap' if _apart(train, held) else 'overlap'}."
    )
    if len(measured) > 1:
        apart = _apart(train, small[1].train)
        text += (
            f" {_label(small[0])} continues {_rate(small[1].train)} of training spans, a difference "
            f"{'beyond' if apart else 'within'} the intervals."
        )
    return Point("Memorisation", text)


def _rate(rate: MatchRate) -> str:
    return numbers.percent(rate.rate, 2) if rate.rate is not None else f"{rate.matches} of {rate.spans}"


def _apart(one: MatchRate, other: MatchRate) -> bool:
    ends = (one.ci_low, one.ci_high, other.ci_low, other.ci_high)
    if None in ends:
        return False
    return bool(one.ci_low > other.ci_high or other.ci_low > one.ci_high)  # type: ignore[operator]


def _spent(study: Study) -> Point | None:
    spent = cost(study)
    if spent.seconds is None:
        return None
    text = f"Training took {numbers.scientific(spent.model_flops)} model FLOPs; "
    text += f"the whole study {numbers.duration(spent.seconds)}"
    if spent.kwh is None:
        return Point("Cost", text + ".")
    return Point(
        "Cost",
        f"{text}, by the stated watts and grid figures about {energy_text(spent.kwh)} "
        f"and {mass_text(spent.kg_co2e)} of CO₂e.",
    )


def limits(study: Study) -> list[Point]:
    """Return what these numbers cannot show, with the study's own counts."""
    truncated = sum(result.truncated_prompts or 0 for size in study.sizes for result in size.results)
    requests = sum(result.n_items for size in study.sizes for result in size.results)
    counts = (study.documents or {}).get("counts", {})
    skipped = counts.get("skipped_unreadable")
    largest = study.trained[-1] if study.trained else None
    small = "These models are tiny and their training is short"
    if largest:
        small += (
            f": the largest has {_label(largest[0])} parameters and saw "
            f"{numbers.figures(largest[1].tokens / largest[1].parameters, 2)} tokens per parameter, "
            "where the paper's 540B model saw 1.4 and compute-optimal practice is near 20"
        )
    prompts = f"{numbers.count(truncated)} prompts were cut on the left to fit the context"
    prompts += f", over {numbers.count(requests)} items, all sizes and shots together."
    if requests == 0:
        prompts = "No task has been evaluated yet."
    if skipped is not None:
        files = "file was" if skipped == 1 else "files were"
        prompts += f" {numbers.count(skipped)} unreadable {files} left out of the corpus."
    return [
        Point("Small and short", f"{small}. Nothing here says what larger models or longer runs would do."),
        Point(
            "Made tasks",
            "The tasks are made from held-out documents of this corpus. They measure prediction of this "
            "kind of text, not understanding, and their scores cannot be set beside published benchmarks.",
        ),
        Point(
            "One seed",
            "Each size was trained once. The intervals cover the choice of items, not the choice of seed.",
        ),
        Point(
            "Correlated items",
            "Items of one document resemble one another and the bootstrap draws items one by one, so "
            "intervals are a little too narrow.",
        ),
        Point(
            "Many comparisons",
            "Each interval holds at 95% on its own. Among twenty comparisons of equal models one is expected "
            "to fall outside.",
        ),
        Point(
            "Unequal steps",
            "Section 6.2's projection takes neighbouring sizes as equally far apart on a log scale. "
            + _ratios(study),
        ),
        Point(
            "This corpus only",
            "Results can be compared with another study's only where the corpus hash and the tokenizer hash "
            "are equal.",
        ),
        Point("Cut and left out", prompts),
    ]


def _ratios(study: Study) -> str:
    sizes = [summary.parameters for _, summary in study.trained]
    if len(sizes) < 2:
        return "With fewer than three sizes no projection is drawn."
    ratios = [numbers.figures(b / a, 2) for a, b in pairwise(sizes)]
    return f"Here neighbours are {' and '.join(ratios)} times apart."
