"""Latencies as distributions: the CDFs of every run, and the histograms of one load."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from inference.bench.report.columns import METRICS, distribution
from inference.bench.report.model import Distribution, Histogram
from inference.bench.report.plots.canvas import Canvas, tick
from inference.bench.report.plots.gallery import LINE, Plot, line_width, middle, said
from inference.bench.report.plots.series import Group, Series

MOST_LINEAR = 15.0  # a wider range of values gets a logarithmic axis


def cdfs(group: Group) -> tuple[Plot, ...]:
    """One plot for each metric that has a CDF."""
    found = (_cdf(group.series, metric) for metric in METRICS)
    return tuple(plot for plot in found if plot is not None)


def _cdf(series: Sequence[Series], metric: str) -> Plot | None:
    canvas = Canvas(x_label="ms")
    values: list[float] = []
    for each in series:
        for run in each.runs:
            quantiles = _quantiles(distribution(run, metric))
            if quantiles:
                shares = [100 * at / (len(quantiles) - 1) for at in range(len(quantiles))]
                width = line_width(each.runs)
                canvas.axes.plot(quantiles, shares, color=canvas.ink(each.colour), linewidth=width)
                values += quantiles
    if not values:
        return None
    _percent_axis(canvas.axes)
    _value_axis(canvas.axes, values)
    return Plot(METRICS[metric], _alt(f"CDF of {METRICS[metric]}", series, metric), canvas)


def _quantiles(found: Distribution | None) -> list[float]:
    return found.quantiles if found else []


def _percent_axis(axes: Axes) -> None:
    axes.set_ylim(0, 101)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} %"))


def _value_axis(axes: Axes, values: Sequence[float]) -> None:
    """Logarithmic where values lie far apart; a linear one begins at 0."""
    low, high = min(values), max(values)
    if low <= 0 or high / low <= MOST_LINEAR:
        axes.set_xlim(left=0)
        return
    decades = math.log10(high / low)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(
        LogLocator(subs=(1, 2, 5) if decades < 1.3 else (1, 3) if decades < 2.4 else (1,))
    )
    axes.xaxis.set_major_formatter(FuncFormatter(tick))
    axes.xaxis.set_minor_locator(NullLocator())


def histograms(group: Group) -> tuple[Plot, ...]:
    """One plot for each metric that has a histogram."""
    found = (_histogram(group.series, metric) for metric in METRICS)
    return tuple(plot for plot in found if plot is not None)


def _histogram(series: Sequence[Series], metric: str) -> Plot | None:
    canvas = Canvas(x_label="ms")
    drawn = [_draw_histogram(canvas, each, metric, filled=len(series) == 1) for each in series]
    if not any(drawn):
        return None
    canvas.axes.set_ylim(bottom=0)
    title = f"{METRICS[metric]}, {'gaps' if metric == 'itl' else 'requests'}"
    return Plot(title, _alt(f"Histogram of {METRICS[metric]}", series, metric), canvas)


def _draw_histogram(canvas: Canvas, each: Series, metric: str, *, filled: bool) -> bool:
    """Whether there was one to draw."""
    found = distribution(each.runs[0], metric)
    if found is None or found.histogram is None:
        return False
    counts, edges = coarser(found.histogram, found.count)
    ink = canvas.ink(each.colour)
    if filled:
        canvas.axes.stairs(counts, edges, fill=True, color=ink, alpha=0.18, linewidth=0)
    canvas.axes.stairs(counts, edges, color=ink, linewidth=LINE)
    return True


def coarser(given: Histogram, num_values: int) -> tuple[list[int], list[float]]:
    """Counts and edges with no more bins than so few values can fill. Pure.

    About twice the cube root of their number: Rice's rule.
    """
    num_bins = len(given.counts)
    wanted = max(1, round(2 * num_values ** (1 / 3)))
    each = next(n for n in range(1, num_bins + 1) if num_bins % n == 0 and num_bins / n <= wanted)
    counts = [sum(given.counts[at : at + each]) for at in range(0, num_bins, each)]
    return counts, given.edges[::each]


def _alt(title: str, series: Sequence[Series], metric: str) -> str:
    """The figures that a reader would take from the plot."""
    return f"{title}. {'; '.join(_medians(each, metric) for each in series)}."


def _medians(series: Series, metric: str) -> str:
    found = [distribution(run, metric) for run in series.runs]
    p50 = middle(each.p50 for each in found if each)
    p95 = middle(each.p95 for each in found if each)
    return f"{series.label or 'all'}: p50 {said(p50, 'ms')}, p95 {said(p95, 'ms')}"
