"""Which runs are drawn together, and in which colours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.bench.report.plots import series
from tests.inference.bench.report import sample


def test_the_loads_of_one_arm_share_their_plots() -> None:
    (group,) = series.groups(sample.sweep())
    assert group.title == ""
    assert [each.label for each in group.series] == [
        f"concurrency {load}" for load in (1, 4, 16, 32, 64)
    ]
    assert len({each.colour for each in group.series}) == 5


def test_arms_are_compared_load_by_load_with_their_rounds() -> None:
    groups = series.groups(sample.compared((1, 8)))
    assert [group.title for group in groups] == ["concurrency 1", "concurrency 8"]
    for group in groups:
        assert [each.label for each in group.series] == ["bare", "ours"]
        assert [each.colour for each in group.series] == ["var(--series-1)", "var(--series-2)"]
        assert [len(each.runs) for each in group.series] == [3, 3]


def test_an_arm_keeps_its_colour_where_another_is_missing() -> None:
    report = sample.compared((1, 8))
    report.runs = [run for run in report.runs if (run.arm, run.load.concurrency) != ("bare", 8)]
    (ours,) = series.groups(report)[1].series
    assert (ours.label, ours.colour) == ("ours", "var(--series-2)")


def test_one_load_needs_no_title() -> None:
    (group,) = series.groups(sample.compared())
    assert group.title == ""


def test_without_requests_there_is_nothing_to_draw() -> None:
    assert series.groups(sample.report([])) == []
    assert series.focus(sample.report([])) is None
    assert series.focus(sample.nothing_answered()) is None


def test_the_focus_is_the_knee() -> None:
    focus = series.focus(sample.sweep())
    assert focus is not None
    assert focus.title == "concurrency 16"


def test_the_focus_of_a_comparison_has_one_run_of_each_arm() -> None:
    focus = series.focus(sample.compared((1, 8)))
    assert focus is not None
    assert focus.title == "concurrency 8"
    assert [(each.label, len(each.runs)) for each in focus.series] == [("bare", 1), ("ours", 1)]


@given(st.floats(min_value=0, max_value=1))
def test_every_share_has_a_colour(share: float) -> None:
    assert series.graded(share).startswith("color-mix(in oklab, var(--grade-")


@pytest.mark.parametrize(
    ("share", "end"), [(0, "mid) 0%)"), (0.5, "mid) 100%)"), (1, "high) 100%)")]
)
def test_colours_go_from_low_to_high(share: float, end: str) -> None:
    assert series.graded(share).endswith(end)
