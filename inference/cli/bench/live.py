"""What a person sees while a run goes on: one line that changes, on standard error."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from inference.bench.plan import Load, RunPlan, Snapshot
from inference.bench.report.model import RunReport


class LiveView:
    """A bar and figures where there is a terminal, one line for each run where there is none."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            _Figures(),
            console=self._console,
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._load = Load()

    def __enter__(self) -> LiveView:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def begin(self, plan: RunPlan) -> None:
        """A run starts."""
        self._load = plan.load
        label = " ".join(filter(None, (plan.arm, plan.name)))
        self._task = self._bar.add_task(f"{label}, warming up", total=1.0, snapshot=None)
        self._label = label

    def update(self, snapshot: Snapshot) -> None:
        """A run goes on."""
        share = progress_share(self._load, snapshot)
        self._bar.update(
            self._task,
            description=self._label,
            snapshot=snapshot,
            completed=share or 0.0,
            total=None if share is None else 1.0,
        )

    def end(self, report: RunReport) -> None:
        """A run is over: its line stays."""
        self._bar.remove_task(self._task)
        self._console.print(f"{self._label}: {outcome(report)}", markup=False, soft_wrap=True)


class _Figures(ProgressColumn):
    """The snapshot in words."""

    def render(self, task: Task) -> Text:
        snapshot = task.fields["snapshot"]
        return Text(figures(snapshot) if snapshot else "", style="dim")


def progress_share(load: Load, snapshot: Snapshot) -> float | None:
    """How much of a run is done, 0 to 1; None where it has no end. Pure."""
    done = snapshot.succeeded + snapshot.failed
    shares = []
    if load.num_requests is not None:
        shares.append(done / load.num_requests)
    if load.duration_s is not None:
        shares.append(snapshot.elapsed_s / load.duration_s)
    return min(1.0, max(shares)) if shares else None


def figures(snapshot: Snapshot) -> str:
    """How a run stands, in a few words. Pure."""
    parts = [f"{snapshot.elapsed_s:.0f} s", f"{snapshot.succeeded} answered"]
    if snapshot.failed:
        parts.append(f"{snapshot.failed} failed")
    parts.append(f"{snapshot.in_flight} running")
    if snapshot.recent_ttft_ms is not None:
        parts.append(f"TTFT {snapshot.recent_ttft_ms:.0f} ms")
    return " · ".join(parts)


def outcome(report: RunReport) -> str:
    """What a run gave, in a few words. Pure."""
    requests = report.requests
    parts = [f"{requests.succeeded} answered in {report.duration_s:.1f} s"]
    if requests.failed:
        first = requests.errors[0]
        parts.append(f"{requests.failed} failed ({first.count} {first.kind}: {first.example})")
    if requests.succeeded:
        parts.append(f"{report.throughput.requests_per_s:.2f} requests/s")
        parts.append(f"{report.throughput.output_tokens_per_s:.1f} tokens/s")
    if report.ttft_ms is not None:
        parts.append(f"TTFT p50 {report.ttft_ms.p50:.1f} ms")
    return ", ".join(parts)
