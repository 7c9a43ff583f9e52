"""The tables of older tools, figure by figure."""

from __future__ import annotations

import pytest

from inference.bench.report.model import Report
from inference.bench.report.table import Table
from inference.bench.report.templates import TEMPLATES, prompt_processing, token_latency_ms
from tests.inference.bench.report import sample

HEADINGS = {
    "llamaedge": (
        "Provider, Processor, Inference RAM, LLM, Context length, workers, Concurrent API clients, "
        "Prompt processing tokens / sec, Text generation tokens / s"
    ),
    "distributed": (
        "GPUs, Concurrency, RPS, Tokens/s, P50 latency (s), P95 latency (s), P99 latency (s), "
        "P95 token latency (ms)"
    ),
    "throughput": (
        "Number of Concurrent Requests, P50 Latency (ms), P99 Latency (ms), RPS, "
        "Output Tokens per Second, Output Tokens per Second per GPU, Input Tokens per Second, "
        "Input Tokens per Second per GPU, Average Output Tokens per Second per Request, "
        "Number of Requests Below Threshold"
    ),
}


def rows(table: Table) -> list[dict[str, object]]:
    return [dict(zip(table.headings, row, strict=True)) for row in table.rows]


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_headings_are_those_of_the_older_tool(name: str) -> None:
    table = TEMPLATES[name](sample.sweep())
    assert ", ".join(table.headings) == HEADINGS[name]
    assert len(table.rows) == 5


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("report", [sample.nothing_answered(), sample.interrupted()])
def test_what_is_not_known_is_a_dash(name: str, report: Report) -> None:
    table = TEMPLATES[name](report)
    assert len(table.rows) == len(report.runs)
    assert "-" in table.csv()
    assert "None" not in table.markdown() + table.csv()


def test_throughput_has_all_columns_filled() -> None:
    report = sample.sweep()
    first, run = rows(TEMPLATES["throughput"](report))[0], report.runs[0]
    assert run.e2el_ms
    assert first["Number of Concurrent Requests"] == 1
    assert first["P99 Latency (ms)"] == run.e2el_ms.p99
    assert first["Output Tokens per Second per GPU"] == run.throughput.output_tokens_per_s / 2
    assert first["Number of Requests Below Threshold"] == 0
    assert None not in first.values()


def test_distributed_gives_latencies_in_seconds_and_tokens_in_ms() -> None:
    report = sample.sweep()
    report.settings["gpus"] = 4
    first, run = rows(TEMPLATES["distributed"](report))[0], report.runs[0]
    assert run.e2el_ms and run.e2el_ms.p95
    assert first["GPUs"] == 4
    assert first["P95 latency (s)"] == pytest.approx(run.e2el_ms.p95 / 1000)
    per_request = run.tokens.output / run.requests.succeeded
    assert first["P95 token latency (ms)"] == pytest.approx(run.e2el_ms.p95 / per_request)


def test_gpus_are_the_servers_never_the_clients() -> None:
    report = sample.sweep()
    report.environment.gpus = ["NVIDIA H200"]
    assert {row["GPUs"] for row in rows(TEMPLATES["distributed"](report))} == {None}
    report.servers[0].num_gpus = 8
    assert {row["GPUs"] for row in rows(TEMPLATES["distributed"](report))} == {8}


def test_llamaedge_takes_its_facts_from_the_settings() -> None:
    report = sample.sweep()
    report.settings |= {"provider": "on premises", "workers": 2, "context_length": 4096}
    first = rows(TEMPLATES["llamaedge"](report))[0]
    assert first["Provider"] == "on premises"
    assert first["Processor"] == "AMD EPYC 9654"
    assert first["LLM"] == "anynode-demo"
    assert first["Context length"] == 4096
    assert first["workers"] == 2


def test_prompt_processing_is_what_a_request_sees() -> None:
    run = sample.run()
    assert run.ttft_ms
    assert prompt_processing(run) == pytest.approx(128 / (run.ttft_ms.mean / 1000))


def test_prompt_processing_without_streaming_is_over_all_requests() -> None:
    run = sample.run().model_copy(update={"ttft_ms": None})
    assert prompt_processing(run) == run.throughput.input_tokens_per_s


def test_embeddings_have_no_token_latency() -> None:
    run = sample.run()
    tokens = run.tokens.model_copy(update={"output": 0})
    assert token_latency_ms(run.model_copy(update={"tokens": tokens})) is None
