"""GuideLLM's benchmarks.json, as its versions 0.3 to 0.7 write it: one run for each benchmark.

Read from src/guidellm/benchmark/schemas. Its inter-token latency is one figure for each request,
(last token - first token) / (tokens - 1): what is called TPOT here and in vLLM, while its "time per
output token" counts the first token too and has no place here. It keeps no gap between tokens, so
there is no ITL. Where the requests themselves are in the file the distributions are theirs;
otherwise they are the summary's, which weighs a request's TPOT by its tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from inference.bench.compare.foreign.outcome import (
    Latencies,
    Outcome,
    measured,
    report,
    summarised,
)
from inference.bench.report.model import Distribution, LoadReport, RunReport

TOOL = "guidellm"


class Totals(BaseModel):
    successful: int
    errored: int = 0
    incomplete: int = 0


class Summary(BaseModel):
    """Of many values; an older or a shorter file says less."""

    count: int = 0
    total_sum: float = 0.0
    mean: float | None = None
    median: float | None = None
    std_dev: float | None = None
    min: float | None = None
    max: float | None = None
    percentiles: dict[str, float] = {}

    def distribution(self, count: int, *, in_seconds: bool = False) -> Distribution | None:
        points = {name: self.percentiles.get(name) for name in ("p90", "p95", "p99")}
        points |= {"mean": self.mean, "p50": self.median, "std": self.std_dev}
        points |= {"min": self.min, "max": self.max}
        return summarised(self.count or count, points, in_seconds=in_seconds)


class ByStatus(BaseModel):
    successful: Summary = Summary()


class Metrics(BaseModel):
    request_totals: Totals | None = None
    prompt_token_count: ByStatus = ByStatus()
    output_token_count: ByStatus = ByStatus()
    time_to_first_token_ms: ByStatus = ByStatus()
    inter_token_latency_ms: ByStatus = ByStatus()
    request_latency: ByStatus = ByStatus()  # seconds


class Request(BaseModel):
    time_to_first_token_ms: float | None = None
    inter_token_latency_ms: float | None = None
    request_latency: float | None = None  # seconds


class Requests(BaseModel):
    successful: list[Request] = []


class Strategy(BaseModel):
    """How requests were offered."""

    type_: str = ""
    streams: int | None = None
    max_concurrency: int | None = None
    rate: float | None = None

    @property
    def clients(self) -> int | None:
        return 1 if self.type_ == "synchronous" else self.streams or self.max_concurrency


class Benchmark(BaseModel):
    start_time: float  # seconds since the epoch
    end_time: float
    request_totals: Totals | None = None  # at this place until 0.3
    metrics: Metrics
    requests: Requests = Field(default=Requests(), repr=False)

    def totals(self) -> Totals:
        return self.metrics.request_totals or self.request_totals or Totals(successful=0)


def recognises(content: Mapping[str, Any]) -> bool:
    benchmarks = content.get("benchmarks")
    return isinstance(benchmarks, list) and all("metrics" in each for each in benchmarks)


def model(content: Mapping[str, Any]) -> str | None:
    """The model that its backend asked for."""
    places = [("config", "backend", "model"), ("worker", "backend_model")]
    found = [_at(each, place) for each in content["benchmarks"] for place in places]
    return next((each for each in found if isinstance(each, str)), None)


def runs(content: Mapping[str, Any], arm: str) -> list[RunReport]:
    """Raises pydantic's ValidationError for a file that lacks what every version writes."""
    return [_run(each, arm) for each in content["benchmarks"]]


def _run(content: Mapping[str, Any], arm: str) -> RunReport:
    benchmark, strategy = Benchmark.model_validate(content), _strategy(content)
    totals, metrics = benchmark.totals(), benchmark.metrics
    return report(
        Outcome(
            load=_load(strategy),
            started_at=datetime.fromtimestamp(benchmark.start_time, UTC),
            duration_s=benchmark.end_time - benchmark.start_time,
            succeeded=totals.successful,
            failed=totals.errored,
            interrupted=totals.incomplete,
            prompt_tokens=round(metrics.prompt_token_count.successful.total_sum),
            output_tokens=round(metrics.output_token_count.successful.total_sum),
            latencies=_latencies(benchmark),
        ),
        arm,
    )


def _latencies(benchmark: Benchmark) -> Latencies:
    num, found = benchmark.totals().successful, benchmark.requests.successful
    if found and len(found) == num:  # it may keep a sample only
        return Latencies(
            ttft=measured([_seconds(each.time_to_first_token_ms) for each in found]),
            tpot=measured([_seconds(each.inter_token_latency_ms) for each in found]),
            e2el=measured([each.request_latency for each in found]),
        )
    metrics = benchmark.metrics
    return Latencies(
        ttft=metrics.time_to_first_token_ms.successful.distribution(num),
        tpot=metrics.inter_token_latency_ms.successful.distribution(num),
        e2el=metrics.request_latency.successful.distribution(num, in_seconds=True),
    )


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000


def _load(strategy: Strategy) -> LoadReport:
    if strategy.rate is None:
        return LoadReport(kind="closed", concurrency=strategy.clients)
    kind: Literal["constant", "poisson"] = "poisson" if strategy.type_ == "poisson" else "constant"
    return LoadReport(kind=kind, concurrency=strategy.clients, request_rate=strategy.rate)


def _strategy(content: Mapping[str, Any]) -> Strategy:
    """Where each version keeps it: 0.5 and later, 0.4, 0.3."""
    for place in ("config", "scheduler", "args"):
        found = _at(content, (place, "strategy"))
        if isinstance(found, dict):
            return Strategy.model_validate({"type_": found.get("kind", ""), **found})
    return Strategy()


def _at(content: Any, path: Sequence[str]) -> Any:
    for key in path:
        content = content.get(key) if isinstance(content, dict) else None
    return content
