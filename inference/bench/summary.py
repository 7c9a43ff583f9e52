"""Records become a run's report. Pure: the same records always give the same figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b

from inference.bench.distribution import distribution
from inference.bench.record import FailureKind, RequestRecord
from inference.bench.report.model import (
    ClientReport,
    Distribution,
    ErrorClass,
    Goodput,
    LoadReport,
    NodeUsage,
    RequestCounts,
    RunReport,
    Second,
    Throughput,
    TokenCounts,
)


@dataclass(frozen=True, slots=True)
class Yardsticks:
    """What a run's figures are held against and divided by."""

    num_gpus: int | None = None
    num_cores: int | None = None
    threshold_tps: float | None = None
    objectives_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What of a run is not in its records."""

    name: str
    load: LoadReport
    started_at: datetime
    began_s: float  # on the records' clock
    arm: str = ""
    round: int = 0
    interrupted: bool = False
    client: ClientReport | None = None
    nodes: tuple[NodeUsage, ...] = ()


def summarise(
    facts: RunFacts, records: Sequence[RequestRecord], yardsticks: Yardsticks
) -> RunReport:
    """Everything a report says of a run; its warm-up is not among the records."""
    good = [record for record in records if record.failure is None]
    ended_s = max((record.ended_s for record in records), default=facts.began_s)
    duration_s = ended_s - facts.began_s
    return RunReport(
        name=facts.name,
        arm=facts.arm,
        round=facts.round,
        load=facts.load,
        started_at=facts.started_at,
        duration_s=duration_s,
        interrupted=facts.interrupted,
        requests=request_counts(records),
        tokens=token_counts(good),
        throughput=throughput(good, duration_s, yardsticks),
        goodput=goodput(good, duration_s, len(_judged(records)), yardsticks.objectives_ms),
        ttft_ms=_ms([each.ttft_s for each in good]),
        tpot_ms=_ms([each.tpot_s for each in good]),
        itl_ms=_ms([gap for each in good for gap in each.itl_s]),
        e2el_ms=_ms([each.e2el_s for each in good]),
        safety_ms=_ms([each.extra.get("safety_s") for each in good]),
        timeline=timeline(records, facts.began_s, duration_s),
        client=facts.client,
        nodes=list(facts.nodes),
        answers_digest=answers_digest(good),
    )


def answers_digest(good: Sequence[RequestRecord]) -> str | None:
    """One digest over all answers, in the order of the requests."""
    ordered = sorted((record.number, record.digest) for record in good)
    return blake2b(repr(ordered).encode(), digest_size=8).hexdigest() if ordered else None


def request_counts(records: Sequence[RequestRecord]) -> RequestCounts:
    """Successes, and failures by class."""
    judged = _judged(records)
    failures = [record.failure for record in judged if record.failure is not None]
    examples = {failure.kind: failure.detail for failure in reversed(failures)}
    errors = [
        ErrorClass(kind=kind, count=count, example=examples[kind])
        for kind, count in Counter(failure.kind for failure in failures).most_common()
    ]
    return RequestCounts(
        sent=len(records),
        succeeded=len(judged) - len(failures),
        failed=len(failures),
        interrupted=len(records) - len(judged),
        error_rate=len(failures) / len(judged) if judged else 0.0,
        errors=errors,
    )


def _judged(records: Sequence[RequestRecord]) -> list[RequestRecord]:
    """All but those we interrupted ourselves."""
    return [
        record
        for record in records
        if record.failure is None or record.failure.kind is not FailureKind.INTERRUPTED
    ]


def token_counts(good: Sequence[RequestRecord]) -> TokenCounts:
    """Totals, and who counted them."""
    output = sum(record.output_tokens for record in good)
    num_events = sum(len(record.event_times_s) for record in good)
    return TokenCounts(
        prompt=sum(record.prompt_tokens for record in good),
        output=output,
        counted_by=sorted({record.counted_by.value for record in good}),
        per_event=output / num_events if num_events else None,
    )


def throughput(
    good: Sequence[RequestRecord], duration_s: float, yardsticks: Yardsticks
) -> Throughput:
    """Rates over the run, per GPU and core where their number is known."""
    rate = 1 / duration_s if duration_s > 0 else 0.0
    output = sum(record.output_tokens for record in good) * rate
    prompt = sum(record.prompt_tokens for record in good) * rate
    own = [record.output_tokens / record.e2el_s for record in good if record.e2el_s > 0]
    threshold = yardsticks.threshold_tps
    return Throughput(
        requests_per_s=len(good) * rate,
        output_tokens_per_s=output,
        input_tokens_per_s=prompt,
        output_tokens_per_s_per_gpu=_share(output, yardsticks.num_gpus),
        input_tokens_per_s_per_gpu=_share(prompt, yardsticks.num_gpus),
        output_tokens_per_s_per_core=_share(output, yardsticks.num_cores),
        input_tokens_per_s_per_core=_share(prompt, yardsticks.num_cores),
        output_tokens_per_s_per_request=sum(own) / len(own) if own else None,
        requests_below_threshold=None if threshold is None else sum(x < threshold for x in own),
        threshold_tps=threshold,
    )


def _share(rate: float, among: int | None) -> float | None:
    return rate / among if among else None


def goodput(
    good: Sequence[RequestRecord],
    duration_s: float,
    num_judged: int,
    objectives_ms: dict[str, float],
) -> Goodput | None:
    """Requests that met every objective; one that failed met none."""
    if not objectives_ms:
        return None
    met = sum(_meets(record, objectives_ms) for record in good)
    return Goodput(
        objectives_ms=objectives_ms,
        requests_per_s=met / duration_s if duration_s > 0 else 0.0,
        share=met / num_judged if num_judged else 0.0,
    )


def _meets(record: RequestRecord, objectives_ms: dict[str, float]) -> bool:
    measured = {
        "ttft": record.ttft_s,
        "tpot": record.tpot_s,
        "itl": max(record.itl_s, default=None),
        "e2el": record.e2el_s,
    }
    # One token has no gap: it cannot miss an objective about gaps.
    return all((measured[name] or 0.0) * 1000 <= most for name, most in objectives_ms.items())


def timeline(records: Sequence[RequestRecord], began_s: float, duration_s: float) -> list[Second]:
    """Second by second; a request's tokens are spread evenly over its events."""
    seconds = [
        Second(at_s=at, completed=0, failed=0, output_tokens=0.0, in_flight=0.0)
        for at in range(max(1, math.ceil(duration_s)))
    ]

    def second(time_s: float) -> Second:
        return seconds[min(len(seconds) - 1, max(0, int(time_s - began_s)))]

    for record in _judged(records):
        if record.failure is not None:
            second(record.ended_s).failed += 1
            continue
        second(record.ended_s).completed += 1
        times_s = record.event_times_s or (record.ended_s,)
        for time_s in times_s:
            second(time_s).output_tokens += record.output_tokens / len(times_s)
    for record in records:
        _add_to_flight(seconds, record.sent_s - began_s, record.ended_s - began_s)
    return seconds


def _add_to_flight(seconds: list[Second], from_s: float, to_s: float) -> None:
    """One request more in each second, for as much of it as the request lasted."""
    for each in seconds[max(0, int(from_s)) : math.ceil(to_s)]:
        each.in_flight += max(0.0, min(to_s, each.at_s + 1) - max(from_s, each.at_s))


def _ms(seconds: Sequence[float | None]) -> Distribution | None:
    return distribution([value * 1000 for value in seconds if value is not None])
