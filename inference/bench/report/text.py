"""Numbers as people read them. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from inference.bench.report.model import Ratio

Cell = str | int | float | None

ABSENT = "-"
NO_ANSWERS = "no answers"
MOST_DIGITS = 5


def decimals(values: Sequence[float]) -> int:
    """Decimals for a column: three digits of its smallest value, at most five of its largest."""
    sizes = [math.floor(math.log10(abs(value))) for value in values if value]
    if not sizes:
        return 0
    return max(0, min(2 - min(sizes), MOST_DIGITS - 1 - max(sizes), 3))


def number(value: float, places: int | None = None) -> str:
    """`1,234.5`; whole numbers that are counts stay whole."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.{decimals([value]) if places is None else places}f}"


def column(values: Sequence[Cell]) -> list[str]:
    """The cells of one column, floats with the same number of decimals."""
    places = decimals([value for value in values if isinstance(value, float)])
    return [cell(value, places) for value in values]


def cell(value: Cell, places: int | None = None) -> str:
    """One cell; a figure that was not measured is a dash."""
    if value is None:
        return ABSENT
    return value if isinstance(value, str) else number(value, places)


def percent(share: float) -> str:
    """0.981 is `98.1 %`; only all is `100 %`, and only nothing is `0 %`."""
    if not 0 < share < 1:
        return f"{share * 100:.0f} %"
    return f"{min(max(share * 100, 0.1), 99.9):.1f}".removesuffix(".0") + " %"


def size(num_bytes: float) -> str:
    """`15.6 GiB`."""
    return f"{number(num_bytes / 1024**3)} GiB"


def count(num: int, thing: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{num:,} {thing}" if num == 1 else f"{num:,} {thing}s"


def interval(ratio: Ratio) -> str:
    """`median (low to high)`, all with the same decimals; ratios have three."""
    figures = (ratio.median, ratio.low, ratio.high)
    is_ratio = bool(ratio.baseline) and not ratio.difference
    places = 3 if is_ratio else decimals(figures)
    median, low, high = (number(float(figure), places) for figure in figures)
    return f"{median} ({low} to {high})"
