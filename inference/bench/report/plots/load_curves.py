"""What more load brings and costs: throughput over load, and latency over throughput."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from inference.bench.knee import load, pace
from inference.bench.report.columns import METRICS, distribution
from inference.bench.report.model import Report, RunReport
from inference.bench.report.plots import series
from inference.bench.report.plots.canvas import Canvas, tick
from inference.bench.report.plots.gallery import LINE, Gallery, Plot, legend, middle, said
from inference.bench.report.plots.series import Series

MOST_LINEAR = 8.0  # a wider range of loads gets a logarithmic axis
LEAST_GAP = 0.1  # of the axis, between two ticks

Figure = Callable[[RunReport], float | None]


@dataclass(frozen=True, slots=True)
class Axis:
    """One of a plot's two dimensions."""

    title: str
    unit: str
    of: Figure


def gallery(report: Report) -> Gallery | None:
    """None where all runs had the same load."""
    answered = [run for run in report.runs if run.requests.succeeded]
    if len({load(run) for run in answered}) < 2:
        return None
    arms = series.arms(answered)
    offered, rate = _offered(answered), _rate(answered)
    pairs = [(offered, rate), *((rate, axis) for axis in _latencies(answered))]
    knee = report.knee.run if report.knee else None
    plots = tuple(_plot(arms, x, y, knee) for x, y in pairs)
    intro = "Small figures are loads." + (" The ring is the knee." if report.knee else "")
    return Gallery("Throughput and latency", intro, legend(arms), plots)


def _offered(runs: Sequence[RunReport]) -> Axis:
    unit = "requests/s offered" if all(run.load.request_rate for run in runs) else "clients"
    return Axis("Load", unit, load)


def _rate(runs: Sequence[RunReport]) -> Axis:
    unit = "output tokens/s" if any(run.tokens.output for run in runs) else "requests/s"
    return Axis(unit.capitalize(), unit, pace)


def _latencies(runs: Sequence[RunReport]) -> list[Axis]:
    """At the 95th percentile, those that every run has."""

    def figure(metric: str) -> Figure:
        return lambda run: getattr(distribution(run, metric), "p95", None)

    found = [
        Axis(f"{METRICS[metric]} p95, ms", "ms", figure(metric))
        for metric in ("ttft", "tpot", "e2el")
    ]
    return [axis for axis in found if all(axis.of(run) is not None for run in runs)]


@dataclass(frozen=True, slots=True)
class Point:
    """One load of one arm."""

    load: float
    name: str
    x: float
    y: float


def points(arm: Series, x: Axis, y: Axis) -> list[Point]:
    """In the order of the loads, the median of each load's rounds. Pure."""
    found = []
    for each in series.loads(arm.runs):
        at, height = middle(map(x.of, each.runs)), middle(map(y.of, each.runs))
        if at is not None and height is not None:
            found.append(Point(load(each.runs[0]), each.label, at, height))
    return sorted(found, key=lambda point: point.load)


def _plot(arms: Sequence[Series], x: Axis, y: Axis, knee: str | None) -> Plot:
    canvas = Canvas(x_label=x.unit)
    curves = [(arm, points(arm, x, y)) for arm in arms]
    for arm, found in curves:
        _draw(canvas, arm.colour, found, knee)
    canvas.axes.margins(x=0.06, y=0.16)
    canvas.axes.set_ylim(bottom=0)
    if x.of is load:
        _load_axis(canvas.axes, sorted({point.load for _, found in curves for point in found}))
    else:
        canvas.axes.set_xlim(left=0)
        _name_points(canvas, curves[0][1])
    told = (f"{arm.label or 'all'}: {_told(found, y)}" for arm, found in curves)
    return Plot(y.title, f"{y.title} over {x.title.lower()}. {'; '.join(told)}.", canvas)


def _draw(canvas: Canvas, colour: str, found: Sequence[Point], knee: str | None) -> None:
    ink = canvas.ink(colour)
    xs, ys = [point.x for point in found], [point.y for point in found]
    canvas.axes.plot(xs, ys, color=ink, linewidth=LINE, marker="o", markersize=4)
    for point in found:
        if point.name == knee:
            canvas.axes.plot(
                point.x, point.y, marker="o", markersize=11, markerfacecolor="none", color=ink
            )


def _name_points(canvas: Canvas, found: Sequence[Point]) -> None:
    """Above each point; beside it where the curve turns back, since then it goes up there."""
    for point, following in zip_longest(found, found[1:]):
        turns = following is not None and following.x < point.x
        canvas.note(point.x, point.y, tick(point.load), beside=turns)


def _told(found: Sequence[Point], y: Axis) -> str:
    return ", ".join(f"{said(point.y, y.unit)} at {point.name}" for point in found)


def _load_axis(axes: Axes, loads: Sequence[float]) -> None:
    """Ticks at the loads themselves; logarithmic, since sweeps double."""
    if loads[0] > 0 and loads[-1] / loads[0] > MOST_LINEAR:
        axes.set_xscale("log", base=2)
        shown = apart([math.log(each / loads[0], loads[-1] / loads[0]) for each in loads])
    else:
        axes.set_xlim(left=0)
        shown = apart([each / loads[-1] for each in loads])
    axes.xaxis.set_major_locator(FixedLocator([loads[at] for at in shown]))
    axes.xaxis.set_major_formatter(FuncFormatter(tick))
    axes.xaxis.set_minor_locator(NullLocator())


def apart(places: Sequence[float]) -> list[int]:
    """Which of these places, rising from 0 to 1, can have a label without touching. Pure."""
    kept: list[int] = []
    for at, place in enumerate(places):
        if not kept or place - places[kept[-1]] >= LEAST_GAP:
            kept.append(at)
    return kept
