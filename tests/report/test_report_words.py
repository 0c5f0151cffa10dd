"""The sentences: careful where the intervals are."""

import json
from pathlib import Path

import pytest
from fake_study import make_study

from palmetto.report import words
from palmetto.report.data import load_study
from palmetto.report.schema import Paired


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.05, words.BEYOND),
        (-0.01, 0.05, words.WITHIN),
        (-0.05, -0.01, words.BELOW),
        (0.0, 0.1, words.WITHIN),
    ],
)
def test_a_difference_counts_only_beyond_the_paired_interval(low: float, high: float, said: str) -> None:
    assert words.verdict(Paired("a", "b", 0.02, low, high)) == said


def _point(study: Path, lead: str) -> str:
    return next(point.text for point in words.summary(load_study(study)) if point.lead == lead)


def test_the_summary_counts_settings_within_the_interval(tmp_path: Path) -> None:
    study = make_study(tmp_path / "starter", steps=2)
    path = study / "analyses" / "scaling.json"
    scaling = json.loads(path.read_text())
    for task in scaling["tasks"][:4]:
        for pair in task["paired"]:
            pair |= {"ci_low": -0.01, "ci_high": 0.02}
    path.write_text(json.dumps(scaling))
    text = _point(study, "Tasks")
    assert text.startswith("In 5 of 9 task settings")
    assert (
        "in 4 the difference lies within it, which is no evidence of one; in none the smallest is ahead"
        in text
    )


def test_bits_per_byte_are_said_with_their_intervals_and_projection(tmp_path: Path) -> None:
    text = _point(make_study(tmp_path / "starter", steps=2), "Prediction")
    assert "fell from 2.470 (0.16M) to 2.170 (4.9M), 12% less; the two intervals do not overlap" in text
    assert "would have given 2.130; the largest lies 0.040 above that: its step bought less" in text


def test_energy_follows_the_papers_formula(tmp_path: Path) -> None:
    # Oracle: section 4 of the paper's own accounting, kWh = watts x hours x PUE / 1000, by hand.
    study = load_study(make_study(tmp_path / "starter", steps=2))
    cost = words.cost(study)
    assert cost.seconds == pytest.approx(526.7)
    assert cost.kwh == pytest.approx(0.030 * 526.7 / 3600 * 1.0)
    assert cost.kg_co2e == pytest.approx(0.030 * 526.7 / 3600 * 0.48)
    assert words.energy_text(cost.kwh) == "4.4 Wh" and words.mass_text(cost.kg_co2e) == "2.1 g"


def test_limits_carry_the_studys_own_counts(tmp_path: Path) -> None:
    texts = {
        point.lead: point.text
        for point in words.limits(load_study(make_study(tmp_path / "starter", steps=2)))
    }
    assert "18 prompts were cut" in texts["Cut and left out"]
    assert "3 unreadable files were left out" in texts["Cut and left out"]
    assert "4.9 and 6.1 times apart" in texts["Unequal steps"]


def test_one_size_alone_is_described_without_comparisons(tmp_path: Path) -> None:
    study = make_study(tmp_path / "starter", sizes=("palm_160k",), steps=2)
    leads = [point.lead for point in words.summary(load_study(study))]
    assert "Tasks" not in leads and "Discontinuity" not in leads
