"""The `anynode bench` group."""

from __future__ import annotations

import typer

from inference.cli.bench.compare import compare
from inference.cli.bench.engines import engines
from inference.cli.bench.report import report
from inference.cli.bench.serve import serve
from inference.cli.bench.stress import stress
from inference.cli.bench.sweep import sweep
from inference.cli.bench.throughput import throughput

app = typer.Typer(
    name="bench",
    help="Measure any OpenAI-compatible server, compare several, and say who won.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
for command in (serve, sweep, compare, engines, throughput, stress, report):
    app.command()(command)
