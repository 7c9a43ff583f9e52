"""What the page shows of plots: galleries of small figures that share a heading and a legend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from inference.bench.report import text
from inference.bench.report.model import RunReport
from inference.bench.report.plots.canvas import Canvas
from inference.bench.report.plots.series import Series

LINE = 1.6  # widths, in pixels
THIN = 1.0


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure: caption, what it shows in words, and the drawing."""

    caption: str
    alt: str
    canvas: Canvas


@dataclass(frozen=True, slots=True)
class Gallery:
    """Plots that belong together; the legend is empty where it would name one thing only."""

    title: str
    intro: str
    legend: tuple[Series, ...]
    plots: tuple[Plot, ...]


def legend(series: Sequence[Series]) -> tuple[Series, ...]:
    """Nothing to tell apart, nothing to explain."""
    return tuple(series) if len(series) > 1 else ()


def line_width(runs: Sequence[RunReport]) -> float:
    """Rounds are drawn over each other."""
    return LINE if len(runs) == 1 else THIN


def middle(values: Iterable[float | None]) -> float | None:
    """The median of what was measured."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def said(value: float | None, unit: str) -> str:
    """For the words that stand for a plot."""
    return "unknown" if value is None else f"{text.number(value)} {unit}"
