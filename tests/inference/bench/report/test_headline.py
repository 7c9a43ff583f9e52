"""What a report says first."""

from __future__ import annotations

from inference.bench.report import headline
from inference.bench.report.model import Report
from tests.inference.bench.report import sample


def tiles(report: Report) -> dict[str, str]:
    return {tile.label: tile.value for tile in headline.tiles(report)}


def test_one_run_is_told_in_one_sentence() -> None:
    assert headline.sentence(sample.single()) == (
        "48 of 48 requests answered; 485 output tokens/s and 5.84 requests/s."
    )


def test_of_several_runs_the_fastest_is_told() -> None:
    report = sample.report([sample.run(4), sample.run(16), sample.run(1)])
    assert headline.best(report) == report.runs[1]
    assert headline.sentence(report).endswith(" requests/s at concurrency 16.")


def test_a_knee_goes_before_the_fastest() -> None:
    report = sample.sweep()
    assert report.knee and report.knee.run == "concurrency 16"
    assert headline.best(report) == report.runs[2]


def test_tiles_hold_the_figures_of_the_run_that_stands_for_the_report() -> None:
    report = sample.single()
    run = report.runs[0]
    assert run.ttft_ms and run.tpot_ms and run.e2el_ms
    assert tiles(report) == {
        "Output tokens": f"{run.throughput.output_tokens_per_s:.0f}",
        "Requests": f"{run.throughput.requests_per_s:.2f}",
        "TTFT p50": f"{run.ttft_ms.p50:.1f}",
        "TPOT p50": f"{run.tpot_ms.p50:.1f}",
        "E2EL p50": f"{run.e2el_ms.p50:,.0f}",
        "Failed requests": "0",
    }


def test_a_comparisons_tiles_are_its_verdict_and_ratios() -> None:
    found = tiles(sample.compared())
    assert found["Verdict"] == "fail"
    assert found["Output tokens/s, ours / bare"] == "0.980"
    assert "TTFT p50" not in found


def test_without_answers_only_failures_are_told() -> None:
    assert tiles(sample.nothing_answered()) == {"Failed requests": "64"}


def test_a_comparison_without_answers_still_has_its_verdict() -> None:
    report = sample.compared()
    report.runs = sample.nothing_answered().runs
    assert headline.sentence(report).startswith("No answers: none of 64 requests succeeded")
    assert "Verdict: fail." in headline.sentence(report)


def test_embeddings_are_told_without_output_tokens() -> None:
    run = sample.run()
    tokens = run.tokens.model_copy(update={"output": 0})
    report = sample.report([run.model_copy(update={"tokens": tokens})])
    assert headline.sentence(report) == "48 of 48 requests answered; 5.84 requests/s."
    assert "Output tokens" not in tiles(report)


def test_percentiles_that_a_foreign_tool_left_out_are_left_out() -> None:
    run = sample.run()
    assert run.ttft_ms
    ttft_ms = run.ttft_ms.model_copy(update={"p95": None})
    report = sample.report([run.model_copy(update={"ttft_ms": ttft_ms})])
    assert next(tile for tile in headline.tiles(report) if tile.label == "TTFT p50").detail == ""
