"""`vllm bench serve --save-result`, and `--append-result`: one JSON object for each run.

Read from vllm/benchmarks/serve.py of 2025 and 2026. With `--save-detailed` the distributions are
those of the requests themselves, without it they are what the summary says. Goodput is left out,
since the file does not say what its objectives were. Its latencies count from the sending of a
request, ours from the time it was due.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from inference.bench.compare.foreign.outcome import (
    Latencies,
    Outcome,
    measured,
    report,
    summarised,
)
from inference.bench.report.model import Distribution, LoadReport, RunReport

TOOL = "vllm bench serve"
WORDS = {"mean": "mean", "std": "std", "p50": "median", "p90": "p90", "p95": "p95", "p99": "p99"}


def _local_time(given: Any) -> datetime:
    return datetime.strptime(str(given), "%Y%m%d-%H%M%S").astimezone()


class Result(BaseModel):
    """The keys that are read; all times in seconds."""

    date: Annotated[datetime, BeforeValidator(_local_time)]  # of its end
    model_id: str | None = None
    request_rate: float = math.inf
    max_concurrency: int | None = None
    num_prompts: int
    duration: float = Field(gt=0)
    completed: int
    failed: int | None = None  # older versions do not say
    total_input_tokens: int
    total_output_tokens: int = 0  # embeddings have none
    # With --save-detailed, of all requests; a request that failed has an error.
    errors: list[str] = []
    ttfts: list[float] = []
    itls: list[list[float]] = []
    output_lens: list[int] = []
    latencies: list[float] = []


@dataclass(frozen=True, slots=True)
class Answer:
    """One request that succeeded."""

    ttft_s: float
    itl_s: Sequence[float]
    e2el_s: float
    output_tokens: int

    @property
    def tpot_s(self) -> float | None:
        if self.output_tokens < 2:
            return None
        return (self.e2el_s - self.ttft_s) / (self.output_tokens - 1)


def recognises(content: Mapping[str, Any]) -> bool:
    return {"duration", "completed", "request_throughput", "num_prompts"} <= content.keys()


def run(content: Mapping[str, Any], arm: str) -> RunReport:
    """Raises pydantic's ValidationError for a file that lacks what every version writes."""
    result = Result.model_validate(content)
    known_rate = math.isfinite(result.request_rate)
    failed = result.num_prompts - result.completed if result.failed is None else result.failed
    found = answers(result)
    return report(
        Outcome(
            load=LoadReport(
                kind="poisson" if known_rate else "closed",
                concurrency=result.max_concurrency,
                request_rate=result.request_rate if known_rate else None,
                num_requests=result.num_prompts,
            ),
            started_at=result.date - timedelta(seconds=result.duration),
            duration_s=result.duration,
            succeeded=result.completed,
            failed=failed,
            prompt_tokens=result.total_input_tokens,
            output_tokens=result.total_output_tokens,
            latencies=_measured(found) if found else _summarised(result, content),
        ),
        arm,
    )


def answers(result: Result) -> list[Answer]:
    """The requests that succeeded, one by one; empty if the file does not have them."""
    num = len(result.ttfts)
    # Without latencies they are what its own timeline takes: the first token and all gaps.
    e2els_s = result.latencies or [
        ttft_s + sum(itl_s) for ttft_s, itl_s in zip(result.ttfts, result.itls, strict=False)
    ]
    errors = result.errors or [""] * num
    columns = (result.ttfts, result.itls, e2els_s, result.output_lens, errors)
    if not num or any(len(column) != num for column in columns):
        return []
    found = [
        Answer(ttft_s, itl_s, e2el_s, num_tokens)
        for ttft_s, itl_s, e2el_s, num_tokens, error in zip(*columns, strict=True)
        if not error
    ]
    return found if len(found) == result.completed else []


def _measured(found: Sequence[Answer]) -> Latencies:
    return Latencies(
        ttft=measured([each.ttft_s for each in found]),
        tpot=measured([each.tpot_s for each in found]),
        itl=measured([gap for each in found for gap in each.itl_s]),
        e2el=measured([each.e2el_s for each in found]),
    )


def _summarised(result: Result, content: Mapping[str, Any]) -> Latencies:
    def of(name: str, count: int) -> Distribution | None:
        points = {ours: content.get(f"{word}_{name}_ms") for ours, word in WORDS.items()}
        return summarised(count, points)

    num_gaps = max(0, result.total_output_tokens - result.completed)
    return Latencies(
        ttft=of("ttft", result.completed),
        tpot=of("tpot", result.completed),
        itl=of("itl", num_gaps),
        e2el=of("e2el", result.completed),
    )
