"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.bench.report import text
from inference.bench.report.model import Ratio

figures = st.floats(min_value=1e-6, max_value=1e9)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0"),
        (0, "0"),
        (12, "12"),
        (12_345, "12,345"),
        (0.1234, "0.123"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (123.4, "123"),
        (12_345.6, "12,346"),
        (-3.456, "-3.46"),
    ],
)
def test_a_number_has_three_digits(value: float, written: str) -> None:
    assert text.number(value) == written


def test_a_columns_figures_have_the_same_decimals() -> None:
    assert text.column([0.8123, 12.0, None, 120.456]) == ["0.81", "12.00", "-", "120.46"]
    assert text.column([12.3, 4567.8]) == ["12.3", "4,567.8"]
    assert text.column([7, "ours", None]) == ["7", "ours", "-"]


@given(st.lists(figures, min_size=1))
def test_a_column_is_near_its_values_and_lines_up(values: list[float]) -> None:
    cells = text.column(values)
    assert len({len(cell.partition(".")[2]) for cell in cells}) == 1
    places = text.decimals(values)
    for cell, value in zip(cells, values, strict=True):
        assert abs(float(cell.replace(",", "")) - value) <= 0.51 * 10**-places


@pytest.mark.parametrize(
    ("share", "written"),
    [(0.0, "0 %"), (1.0, "100 %"), (0.981, "98.1 %"), (0.99999, "99.9 %"), (1e-9, "0.1 %")],
)
def test_a_percentage_never_rounds_to_all_or_nothing(share: float, written: str) -> None:
    assert text.percent(share) == written


def ratio(median: float, low: float, high: float, **given: object) -> Ratio:
    return Ratio.model_validate(
        {
            "arm": "ours",
            "baseline": "bare",
            "metric": "ttft_p50_ms",
            "run": "concurrency 8",
            "values": [median],
            "median": median,
            "low": low,
            "high": high,
            "confidence": 0.95,
            **given,
        }
    )


def test_a_ratio_shows_its_interval() -> None:
    assert text.interval(ratio(0.98, 0.971, 1.0)) == "0.980 (0.971 to 1.000)"


def test_a_difference_may_be_negative() -> None:
    found = text.interval(ratio(0.5, -0.25, 1.25, difference=True))
    assert found == "0.500 (-0.250 to 1.250)"


def test_an_arm_by_itself_has_its_metrics_digits() -> None:
    assert text.interval(ratio(1234.5, 1200.0, 1300.0, baseline="")) == "1,234 (1,200 to 1,300)"


def test_things_are_counted_in_words() -> None:
    assert text.count(1, "run") == "1 run"
    assert text.count(0, "run") == "0 runs"
    assert text.count(1200, "request") == "1,200 requests"
