"""What a comparison's rounds gave, one line for each load and arm. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from bench.results import spread
from bench.vllm.arms import BARE
from inference.bench.compare.gates import Measure, Relation
from inference.bench.compare.pairs import Cells, cells, values
from inference.bench.report.model import Report

HEADINGS = (
    "load",
    "arm",
    "tokens/s",
    "of bare",
    "TTFT p50 ms",
    "added ms",
    "TTFT p95 ms",
    "added ms",
)
TOKENS, P50, P95 = "output_tokens_per_s", "ttft_p50_ms", "ttft_p95_ms"


def rows(report: Report) -> Iterator[tuple[str, ...]]:
    """Medians with their range over the rounds; shares and differences are taken round by round."""
    found = cells(report.runs)
    loads = dict.fromkeys(run.name for run in report.runs)
    arms = report.comparison.arms if report.comparison else []
    for load in loads:
        for arm in arms:
            yield (load, arm, *_figures(found, load, arm))


def _figures(found: Cells, load: str, arm: str) -> Iterator[str]:
    def of(metric: str, relation: Relation) -> list[float]:
        return values(found, load, Measure(arm, metric, BARE, relation))

    yield _shown(of(TOKENS, "itself"))
    yield _shown(of(TOKENS, "ratio"))
    for metric in (P50, P95):
        yield _shown(of(metric, "itself"))
        yield signed(of(metric, "difference"))


def _shown(known: Sequence[float]) -> str:
    return spread(known) if known else "-"


def signed(differences: Sequence[float]) -> str:
    """`median (lowest to highest)`, each with its sign."""
    if not differences:
        return "-"
    low, middle, high = min(differences), statistics.median(differences), max(differences)
    return f"{middle:+.1f} ({low:+.1f} to {high:+.1f})"


def gates(report: Report) -> Iterator[str]:
    """One line for each gate and load, and for whatever kept the arms from being alike."""
    if report.comparison is None:
        return
    for gate in report.comparison.gates:
        yield f"{gate.gate}, {gate.run}: {gate.verdict} ({gate.reason})"
    for check in report.comparison.parity:
        if not check.ok:
            yield f"not alike, {check.name}: {check.detail}"
