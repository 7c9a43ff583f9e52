"""Runs side by side: what each arm gave under the same load in the same round. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inference.bench.compare import metrics
from inference.bench.compare.gates import Measure
from inference.bench.report.model import RunReport

# (load, round) -> arm -> its run
Cells = dict[tuple[str, int], dict[str, RunReport]]


def cells(runs: Sequence[RunReport]) -> Cells:
    found: Cells = {}
    for run in runs:
        found.setdefault((run.name, run.round), {})[run.arm] = run
    return found


def values(found: Cells, point: str, measure: Measure) -> list[float]:
    """One value for each round that has what it takes, in the order of the rounds."""
    rounds = sorted(number for name, number in found if name == point)
    known = [_value(found[point, number], measure) for number in rounds]
    return [value for value in known if value is not None]


def _value(by_arm: Mapping[str, RunReport], measure: Measure) -> float | None:
    own = _figure(by_arm.get(measure.arm), measure.metric)
    if measure.relation == "itself" or own is None:
        return own
    base = _figure(by_arm.get(measure.baseline), measure.metric)
    if base is None:
        return None
    if measure.relation == "difference":
        return own - base
    return own / base if base else None  # a ratio to nothing is no value


def _figure(run: RunReport | None, metric: str) -> float | None:
    return None if run is None else metrics.value(run, metric)
