"""A median and how sure of it a few rounds make us. Pure: the same values, the same interval.

The interval is a percentile bootstrap's of the median (Efron and Tibshirani, 1993, chapter 13).
Of few rounds it is wide, as it should be: of five or fewer it is their whole range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
NUM_RESAMPLES = 10_000
MIN_VALUES = 3  # fewer have no spread worth the name: their interval is their range


@dataclass(frozen=True, slots=True)
class Interval:
    """`low` to `high` is where the median lies with the confidence asked for."""

    low: float
    median: float
    high: float


def interval(values: Sequence[float], *, confidence: float = CONFIDENCE, seed: int = 0) -> Interval:
    """Of at least one value."""
    array = np.asarray(values, dtype=np.float64)
    median = float(np.median(array))
    if len(array) < MIN_VALUES:
        return Interval(float(array.min()), median, float(array.max()))
    draws = np.random.default_rng(seed).integers(len(array), size=(NUM_RESAMPLES, len(array)))
    medians = np.median(array[draws], axis=1)
    low, high = np.quantile(medians, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), median, float(high))
