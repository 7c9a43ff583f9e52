"""Results whose figures are known by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from bench.cpu.results import Ceiling, ModelSize, Results, Run
from inference.bench import environment

NUM_REQUESTS = 8
PROMPT_TOKENS = 100
ANSWER_TOKENS = 11


def runs(arm, number, *, prefill_s=1.0, decode_s=2.0, ttft_ms=50.0, concurrency=8):
    """800 prompt tokens in `prefill_s`, and 80 further tokens in `decode_s`."""
    same = {"arm": arm, "round": number, "concurrency": concurrency}
    same |= {"prompt_tokens": NUM_REQUESTS * PROMPT_TOKENS, "ttft_ms": ttft_ms}
    return [
        Run(**same, answer_tokens=1, output_tokens=NUM_REQUESTS, duration_s=prefill_s),
        Run(
            **same,
            answer_tokens=ANSWER_TOKENS,
            output_tokens=NUM_REQUESTS * ANSWER_TOKENS,
            duration_s=prefill_s + decode_s,
        ),
    ]


def ceiling(arm, number, *, bytes_per_s=100.0, ops_per_s=1e6, concurrency=(8,)):
    return Ceiling(
        arm=arm,
        round=number,
        concurrency=list(concurrency),
        bytes_per_s=bytes_per_s,
        int8_ops_per_s=ops_per_s,
    )


def results(*found, ceilings=(), concurrency=(8,), rounds=2, **said):
    """Of the runs given; the model has 10 weights, 8 of them without the head."""
    taken = [run for each in found for run in each]
    return Results(
        shape="110m",
        created_at=datetime(2026, 5, 1, tzinfo=UTC),
        command=[],
        environment=environment.describe(),
        num_threads=2,
        rounds=rounds,
        concurrency=list(concurrency),
        arms=list(dict.fromkeys(run.arm for run in taken)),
        size=ModelSize(decode=10, prefill=8),
        runs=taken,
        ceilings=list(ceilings),
        **said,
    )
