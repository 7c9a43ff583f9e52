"""The plots of the runs, in the order of the page; those of a comparison are in `forests`."""

from __future__ import annotations

from collections.abc import Iterator

from inference.bench.report.model import Report
from inference.bench.report.plots import latencies, load_curves, series, timelines
from inference.bench.report.plots.gallery import Gallery, legend
from inference.bench.report.plots.series import Group


def galleries(report: Report) -> Iterator[Gallery]:
    """Those that have anything to show."""
    curves = load_curves.gallery(report)
    found = [curves] if curves else []
    groups = series.groups(report)
    found += [_distributions(group) for group in groups]
    found += [_courses(group) for group in groups]
    focus = series.focus(report)
    if focus is not None:
        found.append(_histograms(focus, several=len({run.name for run in report.runs}) > 1))
    yield from (each for each in found if each.plots)


def _distributions(group: Group) -> Gallery:
    intro = "The share of requests (of gaps, for ITL) that took no longer than so many ms."
    return Gallery(_titled("Latency", group), intro, legend(group.series), latencies.cdfs(group))


def _courses(group: Group) -> Gallery:
    intro = (
        "Second by second, from each run's start. Requests in flight are the mean over each second."
    )
    return Gallery(
        _titled("Over time", group), intro, legend(group.series), timelines.timelines(group)
    )


def _histograms(group: Group, *, several: bool) -> Gallery:
    rounds = any(run.round for series in group.series for run in series.runs)
    return Gallery(
        _titled("Histograms", group) if several else "Histograms",
        "Each arm's fastest round." if rounds else "",
        legend(group.series),
        latencies.histograms(group),
    )


def _titled(title: str, group: Group) -> str:
    return f"{title} at {group.title}" if group.title else title
