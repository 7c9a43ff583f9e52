"""The tables of the systems that this one replaces, so that old and new results stand together.

Each takes a report and gives one row for each run. What no run measures (the provider, the
model's context) comes from `report.settings` or from what the servers say; what nobody says is `-`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from inference.bench.report import text
from inference.bench.report.model import Report, RunReport, ServerReport
from inference.bench.report.table import Table
from inference.bench.report.text import ABSENT, Cell

TemplateName = Literal["llamaedge", "distributed", "throughput"]


def llamaedge(report: Report) -> Table:
    """The table of the scalable LlamaEdge server.

    Its processor is the server's: the setting `processor`, else the client's GPUs or CPU, which is
    the same machine in that system. `provider`, `inference_ram`, `context_length` and `workers`
    are settings too.
    """
    environment = report.environment
    processor = ", ".join(environment.gpus) or environment.processor
    facts = report.settings
    rows = tuple(
        (
            _fact(facts, "provider"),
            _fact(facts, "processor", processor),
            _fact(facts, "inference_ram", text.size(environment.memory_bytes)),
            _model(report, run),
            _fact(facts, "context_length", _fact(facts, "max_model_len")),
            _fact(facts, "workers", _num_replicas(report)),
            run.load.concurrency,
            prompt_processing(run),
            _figure(run, run.throughput.output_tokens_per_s),
        )
        for run in report.runs
    )
    headings = (
        "Provider",
        "Processor",
        "Inference RAM",
        "LLM",
        "Context length",
        "workers",
        "Concurrent API clients",
        "Prompt processing tokens / sec",
        "Text generation tokens / s",
    )
    return Table(headings, rows, ABSENT)


def prompt_processing(run: RunReport) -> float | None:
    """Prompt tokens of a mean request over the mean time to first token.

    That is what one request sees, waiting included. Without streaming there is no first token:
    then the run's input tokens per second, over all requests.
    """
    if not run.requests.succeeded:
        return None
    if run.ttft_ms is None or run.ttft_ms.mean <= 0:
        return run.throughput.input_tokens_per_s
    return run.tokens.prompt / run.requests.succeeded / (run.ttft_ms.mean / 1000)


def distributed(report: Report) -> Table:
    """The table of the distributed-inference system, whose token latency is P95 / output tokens."""
    rows = tuple(
        (
            _num_gpus(report, run),
            run.load.concurrency,
            _figure(run, run.throughput.requests_per_s),
            _figure(run, run.throughput.output_tokens_per_s),
            _latency(run, "p50", 1e-3),
            _latency(run, "p95", 1e-3),
            _latency(run, "p99", 1e-3),
            token_latency_ms(run),
        )
        for run in report.runs
    )
    headings = (
        "GPUs",
        "Concurrency",
        "RPS",
        "Tokens/s",
        "P50 latency (s)",
        "P95 latency (s)",
        "P99 latency (s)",
        "P95 token latency (ms)",
    )
    return Table(headings, rows, ABSENT)


def token_latency_ms(run: RunReport) -> float | None:
    """P95 of E2EL over the output tokens of a mean request."""
    p95 = _latency(run, "p95")
    if p95 is None or not run.tokens.output:
        return None
    return p95 / (run.tokens.output / run.requests.succeeded)


def throughput(report: Report) -> Table:
    """The table of the on-premises throughput tool, its last column included."""
    rows = tuple(
        (
            run.load.concurrency,
            _latency(run, "p50"),
            _latency(run, "p99"),
            _figure(run, run.throughput.requests_per_s),
            _figure(run, run.throughput.output_tokens_per_s),
            _figure(run, run.throughput.output_tokens_per_s_per_gpu),
            _figure(run, run.throughput.input_tokens_per_s),
            _figure(run, run.throughput.input_tokens_per_s_per_gpu),
            _figure(run, run.throughput.output_tokens_per_s_per_request),
            run.throughput.requests_below_threshold if run.requests.succeeded else None,
        )
        for run in report.runs
    )
    headings = (
        "Number of Concurrent Requests",
        "P50 Latency (ms)",
        "P99 Latency (ms)",
        "RPS",
        "Output Tokens per Second",
        "Output Tokens per Second per GPU",
        "Input Tokens per Second",
        "Input Tokens per Second per GPU",
        "Average Output Tokens per Second per Request",
        "Number of Requests Below Threshold",
    )
    return Table(headings, rows, ABSENT)


TEMPLATES: Final[dict[TemplateName, Callable[[Report], Table]]] = {
    "llamaedge": llamaedge,
    "distributed": distributed,
    "throughput": throughput,
}


def _figure(run: RunReport, value: float | None) -> float | None:
    """A rate of no answers is not 0 but unknown."""
    return value if run.requests.succeeded else None


def _latency(run: RunReport, figure: str, factor: float = 1.0) -> float | None:
    value: float | None = getattr(run.e2el_ms, figure, None)
    return None if value is None else value * factor


def _fact(facts: dict[str, Any], name: str, otherwise: Cell = None) -> Cell:
    value = facts.get(name)
    if value is None:
        return otherwise
    return value if isinstance(value, str | int | float) else str(value)


def _server(report: Report, run: RunReport) -> ServerReport | None:
    """The server of the run's arm."""
    return next((each for each in report.servers if each.arm == run.arm), None)


def _model(report: Report, run: RunReport) -> Cell:
    server = _server(report, run)
    served = server.models[0] if server and server.models else None
    return _fact(report.settings, "model", served)


def _num_gpus(report: Report, run: RunReport) -> Cell:
    """The option, else what the server says; never the client's own."""
    server = _server(report, run)
    return _fact(report.settings, "gpus", server.num_gpus if server else None)


def _num_replicas(report: Report) -> Cell:
    """As our own servers say it in /version."""
    resources = report.servers[0].version.get("resources") if report.servers else None
    found = resources.get("num_replicas") if isinstance(resources, dict) else None
    return found if isinstance(found, int) else None
