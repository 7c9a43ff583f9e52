"""How several rounds of a figure are put together. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def spread(values: Sequence[float]) -> str:
    """`median (lowest-highest)`, as tables show a figure that was measured several times."""
    digits = 0 if min(values) >= 100 else 1 if min(values) >= 10 else 2
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def ratios(ours: Sequence[float], baseline: Sequence[float]) -> list[float]:
    """Round by round, so that a slow minute of the machine hits both sides of a ratio."""
    return [mine / other for mine, other in zip(ours, baseline, strict=True)]
