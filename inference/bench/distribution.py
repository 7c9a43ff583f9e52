"""Many values in few numbers: percentiles, a CDF, a histogram. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inference.bench.report.model import Distribution, Histogram

NUM_BINS = 40
LEAST_WIDTH = 1e-9  # of all bins together, relative to the values


def distribution(values: Sequence[float]) -> Distribution | None:
    """None of no values."""
    if not len(values):
        return None
    array = np.asarray(values, dtype=np.float64)
    quantiles = np.percentile(array, np.arange(101))
    return Distribution(
        count=len(array),
        mean=float(array.mean()),
        std=float(array.std()),
        min=float(quantiles[0]),
        max=float(quantiles[100]),
        p50=float(quantiles[50]),
        p90=float(quantiles[90]),
        p95=float(quantiles[95]),
        p99=float(quantiles[99]),
        quantiles=quantiles.tolist(),
        histogram=histogram(array),
    )


def histogram(values: Sequence[float] | np.ndarray) -> Histogram:
    """Bins of one width from the lowest to the highest value."""
    array = np.asarray(values, dtype=np.float64)
    low, high = float(array.min()), float(array.max())
    least = max(abs(low), abs(high), 1.0) * LEAST_WIDTH
    if high - low < least:  # as good as equal: numpy cannot tell so narrow bins apart
        low, high = low - least, high + least
    counts, edges = np.histogram(array, bins=NUM_BINS, range=(low, high))
    return Histogram(edges=edges.tolist(), counts=counts.tolist())
