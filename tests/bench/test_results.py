"""Figures of benchmarks, checked where they can be known by hand."""

from __future__ import annotations

import pytest

from bench.results import ratios, spread


def test_ratios_are_taken_round_by_round():
    assert ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0], [1.0, 2.0])


def test_a_spread_shows_median_and_range():
    assert spread([0.9, 1.0, 0.5]) == "0.90 (0.50-1.00)"
    assert spread([150.0, 180.0, 170.0]) == "170 (150-180)"
