"""What happened when: tokens, requests in flight and failures, second by second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inference.bench.report.model import RunReport
from inference.bench.report.plots.canvas import Canvas
from inference.bench.report.plots.gallery import Plot, line_width, middle, said
from inference.bench.report.plots.series import Group, Series

LEAST_SECONDS = 3  # shorter runs have no course
MOST_POINTS = 160  # more would not be seen
WHAT = {
    "output_tokens": "Output tokens/s",
    "in_flight": "Requests in flight",
    "failed": "Failures/s",
}


def timelines(group: Group) -> tuple[Plot, ...]:
    """One plot for everything that ever was more than nothing."""
    found = (_timeline(group.series, field) for field in WHAT)
    return tuple(plot for plot in found if plot is not None)


def _timeline(series: Sequence[Series], field: str) -> Plot | None:
    runs = [run for each in series for run in each.runs if len(run.timeline) >= LEAST_SECONDS]
    if not any(value for run in runs for value in values(run, field)):
        return None
    canvas = Canvas(x_label="s")
    for each in series:
        for run in each.runs:
            if len(run.timeline) >= LEAST_SECONDS:
                times_s, heights = steps(values(run, field), run.duration_s)
                ink, width = canvas.ink(each.colour), line_width(each.runs)
                canvas.axes.step(times_s, heights, where="post", color=ink, linewidth=width)
    canvas.axes.set_ylim(bottom=0)
    canvas.axes.set_xlim(left=0)
    told = "; ".join(_mean(each, field) for each in series)
    return Plot(WHAT[field], f"{WHAT[field]} over time. {told}.", canvas)


def values(run: RunReport, field: str) -> list[float]:
    """One value for each second."""
    return [getattr(second, field) for second in run.timeline]


def steps(heights: Sequence[float], duration_s: float) -> tuple[list[float], list[float]]:
    """Where each step begins, and its height; the last one is repeated at the end. Pure.

    Long runs are averaged over several seconds. The last second is rarely a whole one, and its
    count would look like a fall: it is left out.
    """
    whole = heights[: max(1, int(duration_s))]
    each = -(-len(whole) // MOST_POINTS)
    begins = np.arange(0, len(whole), each)
    sums = np.add.reduceat(np.asarray(whole, dtype=np.float64), begins)
    lengths = np.diff([*begins, len(whole)])
    means = (sums / lengths).tolist()
    return [*begins.tolist(), float(len(whole))], [*means, means[-1]]


def _mean(series: Series, field: str) -> str:
    means = [float(np.mean(values(run, field))) for run in series.runs if run.timeline]
    return f"{series.label or 'all'}: {said(middle(means), 'on average')}"
