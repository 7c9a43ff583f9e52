"""The tables and lines that Markdown and the page both show. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inference.bench.report import columns, text
from inference.bench.report.headline import label
from inference.bench.report.model import (
    Comparison,
    Environment,
    NodeUsage,
    Report,
    RunReport,
    ServerReport,
)
from inference.bench.report.table import Table
from inference.bench.report.text import Cell


def origin(report: Report) -> list[tuple[str, str]]:
    """When, on what, and against whom."""
    versions = {"Python": report.environment.python, **report.environment.versions}
    return [
        ("Made", f"{report.created_at:%Y-%m-%d %H:%M} UTC by anynode bench {report.kind}"),
        ("Client", machine(report.environment)),
        ("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        *(server_facts(each) for each in report.servers),
    ]


def machine(environment: Environment) -> str:
    """Hardware and kernel in one line."""
    parts = [
        environment.processor,
        text.count(environment.cores, "core"),
        text.size(environment.memory_bytes),
        *environment.gpus,
        environment.kernel,
    ]
    return ", ".join(parts)


def server_facts(server: ServerReport) -> tuple[str, str]:
    """A server by its arm, and its address and what it says of itself."""
    parts = [
        server.url,
        ", ".join(server.models),
        ", ".join(f"{key} {value(each)}" for key, each in server.version.items()),
        "" if server.num_gpus is None else text.count(server.num_gpus, "GPU"),
        "" if server.num_cores is None else text.count(server.num_cores, "core"),
    ]
    return f"Server {server.arm}".strip(), "; ".join(part for part in parts if part)


def value(given: Any) -> str:
    """A setting as people write it."""
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, default=str)


def runs(runs: Sequence[RunReport]) -> Table:
    """The main table."""
    shown = columns.shown(runs)
    return Table(
        tuple(column.title for column, _ in shown),
        tuple(zip(*(cells for _, cells in shown), strict=True)),
    )


def errors(runs: Sequence[RunReport]) -> Table:
    """Every class of error of every run, with an example."""
    rows = tuple(
        (label(run), each.kind, each.count, each.example)
        for run in runs
        for each in run.requests.errors
    )
    return Table(("Run", "Error", "Count", "Example"), rows)


def client(runs: Sequence[RunReport]) -> Table:
    """What the client itself cost."""
    headings = (
        "Run",
        "Processes",
        "Share of a core",
        "CPU per event, µs",
        "Events/s",
        "Most in flight",
        "Loop lag p99, ms",
        "Send lag p99, ms",
    )
    rows = tuple(
        (
            label(run),
            run.client.processes,
            text.percent(run.client.cpu_share),
            run.client.cpu_us_per_event,
            run.client.events_per_s,
            run.client.peak_in_flight,
            run.client.loop_lag_p99_ms,
            run.client.send_lag_p99_ms,
        )
        for run in runs
        if run.client is not None
    )
    return Table(headings, rows)


def nodes(runs: Sequence[RunReport]) -> Table:
    """What the machines did: mean, and highest."""
    headings = ("Run", "Node", "CPU", "Memory", "Receives", "Sends", "GPU", "GPU memory")
    rows = [(label(run), node.node, *_usage(node)) for run in runs for node in run.nodes]
    return without_empty(Table(headings, tuple(rows)))


def _usage(node: NodeUsage) -> tuple[str | None, ...]:
    return (
        _pair(node.cpu_mean, node.cpu_max, text.percent),
        _pair(node.memory_mean_bytes, node.memory_max_bytes, text.size),
        _rate(node.network_receive_mean_bytes_per_s),
        _rate(node.network_transmit_mean_bytes_per_s),
        _pair(node.gpu_mean, node.gpu_max, text.percent),
        _pair(node.gpu_memory_mean_bytes, node.gpu_memory_max_bytes, text.size),
    )


def _pair(mean: float | None, most: float | None, say: Callable[[float], str]) -> str | None:
    said = [say(each) for each in (mean, most) if each is not None]
    return ", at most ".join(said) or None


def _rate(bytes_per_s: float | None) -> str | None:
    return None if bytes_per_s is None else f"{text.number(bytes_per_s / 1e6)} MB/s"


def without_empty(table: Table) -> Table:
    """Without the columns that hold nothing."""
    kept = [
        at for at in range(len(table.headings)) if any(row[at] is not None for row in table.rows)
    ]
    return Table(
        tuple(table.headings[at] for at in kept),
        tuple(tuple(row[at] for at in kept) for row in table.rows),
    )


def gates(comparison: Comparison) -> Table:
    """Every line of the gate file, and what the rounds say of it."""
    rows = tuple(
        (each.gate, each.run, each.verdict, text.interval(each.measured), each.reason)
        for each in comparison.gates
    )
    return Table(("Gate", "Load", "Verdict", "Measured", "Reason"), rows)


def ratios(comparison: Comparison) -> Table:
    """Arms against the baseline."""
    rows = tuple(
        (
            each.metric,
            each.run,
            f"{each.arm} {'-' if each.difference else '/'} {each.baseline}",
            text.interval(each),
            text.percent(each.confidence),
            len(each.values),
        )
        for each in comparison.ratios
    )
    return Table(("Metric", "Load", "Of", "Median (interval)", "Confidence", "Rounds"), rows)


def parity(comparison: Comparison) -> Table:
    """What had to be the same for all arms."""
    rows = tuple(
        (each.name, "same" if each.ok else "different", each.detail) for each in comparison.parity
    )
    return Table(("Parity", "Arms", "Detail"), rows)


def settings(given: Mapping[str, Any]) -> Table:
    """Every option in force."""
    rows: tuple[tuple[Cell, ...], ...] = tuple((name, value(each)) for name, each in given.items())
    return Table(("Setting", "Value"), rows)
