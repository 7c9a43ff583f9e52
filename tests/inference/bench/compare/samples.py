"""Runs and configs that need no server."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inference.bench.distribution import distribution
from inference.bench.report.model import (
    LoadReport,
    RequestCounts,
    RunReport,
    Throughput,
    TokenCounts,
)

STARTED = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
DURATION_S = 10.0


def sample_run(
    arm: str = "ours",
    number: int = 1,
    *,
    concurrency: int = 8,
    succeeded: int = 64,
    failed: int = 0,
    tokens_per_s: float = 100.0,
    ttft_ms: float | None = 20.0,
    prompt_tokens: int = 32,
    output_tokens: int = 16,
    **changed: Any,
) -> RunReport:
    """Ten seconds of a closed loop; tokens are those of each request."""
    sent = succeeded + failed
    run = RunReport(
        name=f"concurrency {concurrency}",
        arm=arm,
        round=number,
        load=LoadReport(kind="closed", concurrency=concurrency, num_requests=sent),
        started_at=STARTED,
        duration_s=DURATION_S,
        interrupted=False,
        requests=RequestCounts(
            sent=sent,
            succeeded=succeeded,
            failed=failed,
            interrupted=0,
            error_rate=failed / sent if sent else 0.0,
            errors=[],
        ),
        tokens=TokenCounts(
            prompt=prompt_tokens * succeeded,
            output=output_tokens * succeeded,
            counted_by=["server"],
            per_event=1.0,
        ),
        throughput=Throughput(
            requests_per_s=succeeded / DURATION_S,
            output_tokens_per_s=tokens_per_s,
            input_tokens_per_s=1.0,
        ),
        ttft_ms=None if ttft_ms is None else distribution([ttft_ms] * 3),
    )
    return run.model_copy(update=changed)


def written(path: Path, content: Any) -> Path:
    """`content` as a JSON file."""
    path.write_text(json.dumps(content))
    return path
