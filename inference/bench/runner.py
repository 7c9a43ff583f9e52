"""Carries out a run: its processes, its progress, its end."""

from __future__ import annotations

from inference.bench.plan import Interrupt, Progress, RunPlan, no_progress
from inference.bench.report.model import RunReport


def run(
    plan: RunPlan, *, interrupt: Interrupt | None = None, progress: Progress = no_progress
) -> RunReport:
    """Blocks until the load has ended, or soon after `interrupt.requested`.

    A request that fails is counted. Raises ConfigError for a target that cannot be used at all.
    """
    raise NotImplementedError
