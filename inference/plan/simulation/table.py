"""A simulation as people read it."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from inference.plan.simulation.simulate import TTFT_LIMIT_S, LoadPoint, ModelSimulation


def show(simulation: ModelSimulation, console: Console) -> None:
    """One row for each load, and what breaks first."""
    table = Table(
        title=f"[bold]{simulation.model}[/bold], simulated", title_justify="left", title_style=""
    )
    for name in ("load", "req/s", "TTFT p50", "p95", "p99", "E2EL p50", "p95", "tok/s", "busy"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("breaks by")
    for point in simulation.points:
        table.add_row(*_row(point))
    console.print(table)
    console.print(f"  {_verdict(simulation)}")


def _row(point: LoadPoint) -> tuple[str, ...]:
    ttft, e2el = point.ttft_s, point.e2el_s
    return (
        f"{point.scale:g}x",
        f"{point.request_rate:.2f}",
        *(f"{each:.2f}" for each in (ttft.p50, ttft.p95, ttft.p99, e2el.p50, e2el.p95)),
        f"{point.output_tokens_per_s:.0f}",
        f"{point.busy:.0%}",
        point.broken or "-",
    )


def _verdict(simulation: ModelSimulation) -> str:
    refused = simulation.points[-1].refused
    said = f"{refused} requests are longer than a replica's KV memory. " if refused else ""
    breaks = simulation.breaks
    if breaks is None:
        most = simulation.points[-1].scale
        return f"{said}It holds up to {most:g} times the load that was asked for."
    return (
        f"{said}At {breaks.scale:g} times the load {breaks.broken} breaks first: "
        f"the 95th percentile of TTFT passes {TTFT_LIMIT_S:g} s."
    )
