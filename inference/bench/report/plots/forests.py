"""Arms against the baseline: medians and intervals, beside parity or a gate's bound."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from inference.bench.report import columns, text
from inference.bench.report.model import Comparison, GateResult, Ratio
from inference.bench.report.plots.canvas import (
    MARGIN_BOTTOM,
    MARGIN_RIGHT,
    MARGIN_TOP,
    TEXT,
    Canvas,
)
from inference.bench.report.plots.gallery import Gallery, Plot
from inference.bench.report.plots.series import categorical

ROW_HEIGHT = 44.0
MOST_LETTERS = 24  # of a row's name, which shares its line with figures
VERDICTS = {"pass": "var(--good)", "fail": "var(--bad)", "undecided": "var(--muted)"}
LESS_IS_BETTER = re.compile(r".*_ms|error_rate")
BOUND = re.compile(r"[<>]=?\s*(-?[\d.]+(?:e-?\d+)?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """One interval."""

    name: str
    colour: str
    measured: Ratio


def gates(comparison: Comparison) -> Gallery:
    """One plot for each gate, its loads below each other."""
    intro = "Dashed is the gate's bound; bars are intervals, dots are rounds."
    return Gallery("Gates", intro, (), tuple(_gates(comparison.gates)))


def ratios(comparison: Comparison) -> Gallery:
    """One plot for each metric, its loads below each other."""
    intro = f"Dashed is parity with {comparison.baseline}; bars are intervals, dots are rounds."
    return Gallery("Ratios", intro, (), tuple(_ratios(comparison)))


def _gates(gates: Sequence[GateResult]) -> Iterator[Plot]:
    for line, found in groupby(gates, key=lambda each: each.gate):
        results = list(found)
        rows = [Row(each.run, VERDICTS[each.verdict], each.measured) for each in results]
        verdicts = ", ".join(f"{each.run} {each.verdict}" for each in results)
        yield Plot(line, f"{line}: {verdicts}. {_told(rows)}", forest(rows, bound(line)))


def bound(gate: str) -> float | None:
    """The number a gate holds its metric against, where it can be read from its line. Pure."""
    found = BOUND.search(gate)
    return float(found[1]) if found else None


def _ratios(comparison: Comparison) -> Iterator[Plot]:
    colours = {arm: categorical(at) for at, arm in enumerate(comparison.arms)}
    several = len(comparison.arms) > 2
    by_metric: dict[str, list[Ratio]] = {}
    for ratio in comparison.ratios:
        by_metric.setdefault(ratio.metric, []).append(ratio)
    for metric, ratios in by_metric.items():
        rows = [
            Row(f"{each.arm}, {each.run}" if several else each.run, colours[each.arm], each)
            for each in ratios
        ]
        title = columns.title(metric)
        hint = "less is better" if LESS_IS_BETTER.fullmatch(metric) else "more is better"
        reference = 0.0 if ratios[0].difference else 1.0
        yield Plot(f"{title}, {hint}", f"{title}. {_told(rows)}", forest(rows, reference))


def _told(rows: Sequence[Row]) -> str:
    return "; ".join(f"{row.name}: {text.interval(row.measured)}" for row in rows) + "."


def forest(rows: Sequence[Row], reference: float | None) -> Canvas:
    """One line for each row: its name and figures, and below them its interval."""
    height = MARGIN_TOP + MARGIN_BOTTOM + ROW_HEIGHT * len(rows)
    canvas = Canvas(height=height, left=MARGIN_RIGHT)
    axes = canvas.axes
    axes.grid(visible=False)
    axes.set_yticks([])
    axes.set_ylim(-len(rows) + 0.6, 0.6)
    axes.set_xlim(*limits(rows, reference))
    for at, row in enumerate(rows):
        if reference is not None:
            ends = (-at - 0.3, -at + 0.2)
            axes.plot([reference] * 2, ends, color=canvas.ink(TEXT), linewidth=1, dashes=(3, 2))
        _draw(canvas, row, -at)
    return canvas


def limits(rows: Sequence[Row], reference: float | None) -> tuple[float, float]:
    """A range that holds everything, with some air. Pure."""
    values = [] if reference is None else [reference]
    for row in rows:
        values += [row.measured.low, row.measured.high, *row.measured.values]
    low, high = min(values), max(values)
    air = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return low - air, high + air


def _draw(canvas: Canvas, row: Row, y: float) -> None:
    measured, ink = row.measured, canvas.ink(row.colour)
    axes = canvas.axes
    axes.plot([measured.low, measured.high], [y, y], color=ink, linewidth=3.5, alpha=0.45)
    axes.plot(measured.values, [y] * len(measured.values), "o", color=ink, markersize=2.5)
    axes.plot(measured.median, y, "o", color=ink, markersize=7)
    canvas.label(0.0, y + 0.38, shortened(row.name))
    canvas.label(1.0, y + 0.38, text.interval(measured), ha="right", colour=TEXT)


def shortened(name: str) -> str:
    """Its end tells loads apart, so its beginning is left out. Pure."""
    return name if len(name) <= MOST_LETTERS else f"…{name[1 - MOST_LETTERS :]}"
