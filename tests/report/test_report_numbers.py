"""Numbers as people read them."""

import pytest

from palmetto.report import numbers
from palmetto.report.markdown import inline


@pytest.mark.parametrize(
    ("value", "text"),
    [(163_136, "0.16M"), (801_888, "0.80M"), (4_920_576, "4.9M"), (272_900_000, "273M"), (5.4036e11, "540B")],
)
def test_parameters_read_as_in_the_papers_tables(value: int, text: str) -> None:
    assert numbers.parameters(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.4, "9.4 s"),
        (38, "38 s"),
        (59.7, "1 min 00 s"),
        (252, "4 min 12 s"),
        (7530, "2 h 05 min"),
    ],
)
def test_times_have_at_most_two_units(seconds: float, text: str) -> None:
    assert numbers.duration(seconds) == text


def test_points_always_carry_a_sign_and_a_real_minus() -> None:
    assert [numbers.points(value) for value in (9, -1.2, 0.0)] == ["+9.0", "−1.2", "+0.0"]


def test_large_and_small_numbers_become_powers_of_ten() -> None:
    assert numbers.figures(2.1345e13) == "2.13 × 10¹³"
    assert numbers.figures(1.5e-9, 2) == "1.5 × 10⁻⁹"
    assert numbers.figures(12345.0) == "12,345"


def test_absent_values_are_a_dash() -> None:
    kinds = ["count", "parameters", "percent", "points", "bits", "figures", "scientific", "duration", "bytes"]
    assert {numbers.show(None, kind) for kind in kinds} == {numbers.MISSING}


def test_settings_flatten_to_dotted_names() -> None:
    rows = numbers.flatten({"a": {"b": 1e-4, "c": [1, 2]}, "d": True, "e": None})
    assert rows == [("a.b", "0.0001"), ("a.c", "1, 2"), ("d", "yes"), ("e", "–")]


def test_markdown_text_stays_text() -> None:
    assert inline("a|b\n<script> *x* palm_5m _y_") == r"a\|b \<script\> \*x\* palm_5m \_y\_"
