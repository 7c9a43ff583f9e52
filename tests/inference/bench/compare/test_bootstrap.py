from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.bench.compare import bootstrap
from inference.bench.compare.bootstrap import interval

FIGURES = st.lists(st.floats(0.01, 1000), min_size=1, max_size=12)


@given(FIGURES)
@settings(max_examples=40, deadline=None)
def test_the_median_is_inside_and_the_interval_within_the_range(values):
    found = interval(values)
    tiny = 1e-9 * max(values)
    assert min(values) - tiny <= found.low <= found.median + tiny
    assert found.median - tiny <= found.high <= max(values) + tiny
    assert found.median == pytest.approx(float(np.median(values)))


@given(FIGURES, st.floats(0.01, 100), st.floats(-100, 100))
@settings(max_examples=40, deadline=None)
def test_it_scales_and_moves_with_the_values(values, factor, offset):
    before = interval(values)
    after = interval([value * factor + offset for value in values])
    for one, other in zip(
        (before.low, before.median, before.high), (after.low, after.median, after.high), strict=True
    ):
        assert other == pytest.approx(one * factor + offset, rel=1e-6, abs=1e-6)


@given(FIGURES)
@settings(max_examples=20, deadline=None)
def test_the_same_values_give_the_same_interval(values):
    assert interval(values) == interval(values)


def test_identical_arms_are_exactly_one():
    found = interval([1.0] * 5)
    assert (found.low, found.median, found.high) == (1.0, 1.0, 1.0)


def test_fewer_than_three_values_have_their_range():
    found = interval([0.9, 1.2])
    assert (found.low, found.median, found.high) == (0.9, pytest.approx(1.05), 1.2)


@pytest.mark.parametrize(
    ("num", "confidence"), [(1, 0), (2, 0.5), (3, 0.75), (5, 0.9375), (6, 0.95), (20, 0.95)]
)
def test_few_rounds_claim_no_more_than_they_can_know(num, confidence):
    assert interval([float(value) for value in range(num)]).confidence == confidence


def test_more_rounds_make_it_narrower():
    chance = np.random.default_rng(1)
    few, many = chance.normal(1, 0.1, size=5), chance.normal(1, 0.1, size=100)
    wide, narrow = interval(list(few)), interval(list(many))
    assert narrow.high - narrow.low < wide.high - wide.low


def test_it_holds_the_true_median_as_often_as_it_says():
    chance = np.random.default_rng(2)
    held = 0
    for _ in range(40):
        found = interval(list(chance.normal(1, 0.1, size=15)))
        held += found.low <= 1 <= found.high
    assert held >= 40 * (bootstrap.CONFIDENCE - 0.1)
