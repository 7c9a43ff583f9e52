"""Which runs become which lines of which plots, and in which colour. Pure.

Several arms are compared load by load, one colour for each arm; one arm's loads are drawn together,
from a dark colour to a bright one as the load rises. Rounds are thin lines of one colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from inference.bench.knee import pace
from inference.bench.report import headline
from inference.bench.report.model import Report, RunReport

NUM_COLOURS = 6


@dataclass(frozen=True, slots=True)
class Series:
    """Runs that belong together; `colour` is CSS."""

    label: str
    colour: str
    runs: tuple[RunReport, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Series that share their plots; the title is empty where there is one group only."""

    title: str
    series: tuple[Series, ...]


def categorical(number: int) -> str:
    """The colour of an arm."""
    return f"var(--series-{number % NUM_COLOURS + 1})"


def graded(share: float) -> str:
    """The colour of a load, from 0, the lowest, to 1."""
    if share <= 0.5:
        return f"color-mix(in oklab, var(--grade-low), var(--grade-mid) {share * 200:.0f}%)"
    return f"color-mix(in oklab, var(--grade-mid), var(--grade-high) {share * 200 - 100:.0f}%)"


def arms(runs: Sequence[RunReport]) -> tuple[Series, ...]:
    """One series for each arm, over all loads."""
    names = list(dict.fromkeys(run.arm for run in runs))
    return tuple(
        Series(name, categorical(at), tuple(run for run in runs if run.arm == name))
        for at, name in enumerate(names)
    )


def loads(runs: Sequence[RunReport]) -> tuple[Series, ...]:
    """One series for each load, in the order of the runs."""
    names = list(dict.fromkeys(run.name for run in runs))
    last = len(names) - 1
    return tuple(
        Series(
            name,
            graded(at / last) if last else categorical(0),
            tuple(run for run in runs if run.name == name),
        )
        for at, name in enumerate(names)
    )


def groups(report: Report) -> list[Group]:
    """Series to be drawn side by side."""
    answered = [run for run in report.runs if run.requests.sent]
    if len(arms(answered)) <= 1:
        return [Group("", loads(answered))] if answered else []
    colours = {arm.label: arm.colour for arm in arms(answered)}
    by_load = [(load.label, arms(load.runs)) for load in loads(answered)]
    return [
        Group(
            label if len(by_load) > 1 else "",
            tuple(replace(each, colour=colours[each.label]) for each in found),
        )
        for label, found in by_load
    ]


def focus(report: Report) -> Group | None:
    """One run of each arm, at the load that stands for the report: each arm's fastest round."""
    best = headline.best(report)
    if best is None:
        return None
    alike = [run for run in report.runs if run.name == best.name and run.requests.succeeded]
    fastest = (replace(arm, runs=(max(arm.runs, key=pace),)) for arm in arms(alike))
    return Group(best.name, tuple(fastest))
