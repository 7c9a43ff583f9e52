"""What every bench command does around its runs: watch them, end them, publish what they found."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from inference.bench import runner
from inference.bench.plan import Interrupt, RunPlan
from inference.bench.report import files, markdown
from inference.bench.report.model import Report, RunReport
from inference.cli.bench.live import LiveView


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """The first Ctrl-C ends the run and keeps its results; the second one means it."""
    interrupt = Interrupt()

    def handle(number: int, frame: FrameType | None) -> None:
        if interrupt.requested:
            signal.default_int_handler(number, frame)
        interrupt.requested = True

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)


def run_all(plans: Iterable[RunPlan], interrupt: Interrupt) -> list[RunReport]:
    """One after the other, shown live; stops after the run in which it was interrupted.

    `plans` may be a generator that looks at what the runs before it gave.
    """
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


def publish(report: Report, output: Path | None) -> None:
    """Markdown on standard output, and the files if asked for."""
    print(markdown.render(report))
    for path in files.write(report, output) if output else []:
        print(f"wrote {path}", file=sys.stderr)
