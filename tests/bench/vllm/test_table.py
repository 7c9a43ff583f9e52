"""The table, checked where its figures are known by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from bench.vllm import table
from inference.bench import environment
from inference.bench.compare.comparison import Asked, compared
from inference.bench.compare.gates import from_lines
from inference.bench.compare.parity import ArmFacts
from inference.bench.report.model import Report
from tests.inference.bench.compare.samples import sample_run

RUNS = [
    sample_run("bare", 1, tokens_per_s=100.0, ttft_ms=20.0),
    sample_run("haproxy", 1, tokens_per_s=90.0, ttft_ms=21.0),
    sample_run("bare", 2, tokens_per_s=200.0, ttft_ms=10.0),
    sample_run("haproxy", 2, tokens_per_s=200.0, ttft_ms=9.0),
]
ARMS = ("bare", "haproxy", "ray-llm")
GATE = "haproxy/bare output_tokens_per_s >= 0.97"


def report(runs=RUNS):
    asked = Asked(ARMS, "bare", 2, gates=from_lines([GATE], str))
    return Report(
        kind="compare",
        title="",
        created_at=datetime(2026, 5, 1, tzinfo=UTC),
        command=[],
        environment=environment.describe(),
        servers=[],
        settings={},
        runs=runs,
        comparison=compared(asked, {arm: ArmFacts() for arm in ARMS}, runs),
    )


def test_shares_and_differences_are_taken_round_by_round():
    bare, haproxy, missing = table.rows(report())
    assert bare == (
        *("concurrency 8", "bare", "150 (100-200)", "1.00 (1.00-1.00)"),
        *("15.0 (10.0-20.0)", "+0.0 (+0.0 to +0.0)") * 2,
    )
    assert haproxy == (
        *("concurrency 8", "haproxy", "145.0 (90.0-200.0)", "0.95 (0.90-1.00)"),
        *("15.00 (9.00-21.00)", "+0.0 (-1.0 to +1.0)") * 2,
    )
    assert missing == ("concurrency 8", "ray-llm", *["-"] * 6)
    assert len(missing) == len(table.HEADINGS)


def test_every_gate_and_what_was_not_alike_is_said():
    (gate,) = table.gates(report())
    assert gate.startswith(f"{GATE}, concurrency 8: undecided (2 of the 3 rounds")
    odd = [*RUNS, sample_run("bare", 3), sample_run("haproxy", 3, prompt_tokens=33)]
    assert any(line.startswith("not alike, prompt tokens: ") for line in table.gates(report(odd)))
