"""Figures of benchmarks, checked where they can be known by hand."""

from __future__ import annotations

import pytest

from bench.results import RequestTiming, Run, percentile, ratios, spread


def test_percentiles_are_of_the_nearest_rank():
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, percent) for percent in (1, 50, 95, 100)] == [1, 50, 95, 100]
    assert percentile([7.0], 50) == 7.0


def test_a_run_counts_tokens_over_its_wall_time():
    run = Run((RequestTiming(0.1, 1.0, 30), RequestTiming(0.3, 2.0, 10)), wall_s=4.0)
    assert run.tokens_per_s == 10
    assert run.ttft_ms() == pytest.approx(100)
    assert run.e2e_s(95) == 2.0


def test_ratios_are_taken_round_by_round():
    assert ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0], [1.0, 2.0])


def test_a_spread_shows_median_and_range():
    assert spread([0.9, 1.0, 0.5]) == "0.90 (0.50-1.00)"
    assert spread([150.0, 180.0, 170.0]) == "170 (150-180)"
