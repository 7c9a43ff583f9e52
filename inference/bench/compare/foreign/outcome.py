"""What all tools say of a run, in words of their own; `report` says it in ours.

Nothing is made up: a figure that a summary leaves out stays unknown, and there is no CDF to draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from inference.bench import distribution
from inference.bench.report.model import (
    Distribution,
    LoadReport,
    RequestCounts,
    RunReport,
    Throughput,
    TokenCounts,
)


@dataclass(frozen=True, slots=True)
class Latencies:
    """In milliseconds."""

    ttft: Distribution | None = None
    tpot: Distribution | None = None
    itl: Distribution | None = None
    e2el: Distribution | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run."""

    load: LoadReport
    started_at: datetime
    duration_s: float
    succeeded: int
    failed: int
    prompt_tokens: int
    output_tokens: int
    interrupted: int = 0
    latencies: Latencies = field(default_factory=Latencies)


def report(outcome: Outcome, arm: str) -> RunReport:
    """Rates are over the whole duration, as ours are."""
    judged = outcome.succeeded + outcome.failed
    per_s = 1 / outcome.duration_s if outcome.duration_s > 0 else 0.0
    latencies = outcome.latencies
    return RunReport(
        name=_name(outcome.load),
        arm=arm,
        load=outcome.load,
        started_at=outcome.started_at,
        duration_s=outcome.duration_s,
        interrupted=False,
        requests=RequestCounts(
            sent=judged + outcome.interrupted,
            succeeded=outcome.succeeded,
            failed=outcome.failed,
            interrupted=outcome.interrupted,
            error_rate=outcome.failed / judged if judged else 0.0,
            errors=[],
        ),
        tokens=TokenCounts(
            prompt=outcome.prompt_tokens,
            output=outcome.output_tokens,
            counted_by=[],
            per_event=None,
        ),
        throughput=Throughput(
            requests_per_s=outcome.succeeded * per_s,
            output_tokens_per_s=outcome.output_tokens * per_s,
            input_tokens_per_s=outcome.prompt_tokens * per_s,
        ),
        ttft_ms=latencies.ttft,
        tpot_ms=latencies.tpot,
        itl_ms=latencies.itl,
        e2el_ms=latencies.e2el,
    )


def _name(load: LoadReport) -> str:
    """As `Load.name` has it, so that the same loads meet."""
    if load.request_rate is not None:
        return f"{load.request_rate:g} requests/s"
    return "all at once" if load.concurrency is None else f"concurrency {load.concurrency}"


def measured(seconds: Sequence[float | None]) -> Distribution | None:
    """Of the values themselves."""
    return distribution.distribution([value * 1000 for value in seconds if value is not None])


def summarised(
    count: int, points: Mapping[str, float | None], *, in_seconds: bool = False
) -> Distribution | None:
    """Of what is known of them, by our names.

    None where mean, median or deviation is missing, or all are 0: that is how these tools say that
    there was nothing to measure.
    """
    scale = 1000 if in_seconds else 1
    known = {name: value * scale for name, value in points.items() if value is not None}
    if not count or not known.keys() >= {"mean", "p50", "std"} or not any(known.values()):
        return None
    return Distribution.model_validate({"count": count, **known})
