"""Figures of one run of one arm, and how several rounds of them are put together."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestTiming:
    """One request as its caller saw it."""

    ttft_s: float
    e2e_s: float
    num_tokens: int


@dataclass(frozen=True, slots=True)
class Run:
    """All requests of one arm in one round."""

    timings: tuple[RequestTiming, ...]
    wall_s: float

    @property
    def tokens_per_s(self) -> float:
        return sum(timing.num_tokens for timing in self.timings) / self.wall_s

    def ttft_ms(self, percent: float = 50) -> float:
        return percentile([timing.ttft_s for timing in self.timings], percent) * 1e3

    def e2e_s(self, percent: float) -> float:
        return percentile([timing.e2e_s for timing in self.timings], percent)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float]) -> str:
    """`median (lowest-highest)`, as tables show a figure that was measured several times."""
    digits = 0 if min(values) >= 100 else 1 if min(values) >= 10 else 2
    low, middle, high = min(values), median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def ratios(ours: Sequence[float], baseline: Sequence[float]) -> list[float]:
    """Round by round, so that a slow minute of the machine hits both sides of a ratio."""
    return [mine / other for mine, other in zip(ours, baseline, strict=True)]
