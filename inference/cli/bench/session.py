"""What every bench command does around its runs: watch them, end them, publish what they found."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from inference.bench import environment, runner
from inference.bench.plan import Interrupt, RunPlan
from inference.bench.report import files, markdown
from inference.bench.report.model import Report, RunReport, ServerReport
from inference.cli.bench.live import LiveView

Kind = Literal["serve", "sweep", "throughput", "stress", "compare"]


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """The first Ctrl-C or SIGTERM ends the run and keeps its results; the second one means it."""
    interrupt = Interrupt()

    def handle(number: int, frame: FrameType | None) -> None:
        if interrupt.requested:
            signal.default_int_handler(number, frame)
        interrupt.requested = True

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield interrupt
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def run_all(plans: Iterable[RunPlan], interrupt: Interrupt) -> list[RunReport]:
    """One after the other, shown live; stops after the run in which it was interrupted."""
    reports: list[RunReport] = []
    with LiveView() as view:
        for plan in plans:
            view.begin(plan)
            report = runner.run(plan, interrupt=interrupt, progress=view.update)
            view.end(report)
            reports.append(report)
            if interrupt.requested:
                break
    return reports


def report(
    kind: Kind,
    *,
    title: str,
    servers: list[ServerReport],
    settings: dict[str, Any],
    runs: list[RunReport],
) -> Report:
    """What a command found, with all it takes to repeat it."""
    return Report(
        kind=kind,
        title=title,
        created_at=datetime.now(UTC),
        command=["anynode", *without_values_of_headers(sys.argv[1:])],
        environment=environment.describe(),
        servers=servers,
        settings=settings,
        runs=runs,
    )


def without_values_of_headers(arguments: list[str]) -> list[str]:
    """A command line that can be published: a header may hold a key. Pure."""
    shown: list[str] = []
    for argument in arguments:
        if (shown and shown[-1] == "--header") or argument.startswith("--header="):
            shown.append(f"{argument.partition(':')[0]}: …")
        else:
            shown.append(argument)
    return shown


def settings(*groups: Any) -> dict[str, Any]:
    """Every option of these groups, as it was in force; headers may hold keys and stay out.

    Facts stand beside them under their own names.
    """
    found = {each.name: getattr(group, each.name) for group in groups for each in fields(group)}
    facts = found.pop("fact", None) or []
    said = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in found.items()
        if name not in ("header", "output") and value is not None
    }
    return {**said, **dict(each.split("=", 1) for each in facts)}


def publish(report: Report, output: Path | None) -> None:
    """Markdown on standard output, and the files if asked for."""
    print(markdown.render(report))
    for path in files.write(report, output) if output else []:
        print(f"wrote {path}", file=sys.stderr)
