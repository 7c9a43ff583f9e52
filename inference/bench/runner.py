"""Carries out a run: its processes, its progress, its end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import uvloop

from inference.bench.client.crowd import in_processes
from inference.bench.client.worker import Share, Worked, work
from inference.bench.plan import Interrupt, Progress, RunPlan, Snapshot, no_progress
from inference.bench.prometheus import node_usage
from inference.bench.record import RequestRecord
from inference.bench.report.model import ClientReport, NodeUsage, RunReport
from inference.bench.summary import RunFacts, summarise

MOST_CPU_SHARE = 0.9  # of one core, by one process
MOST_LAG_MS = 20.0  # 99th percentile


def run(
    plan: RunPlan, *, interrupt: Interrupt | None = None, progress: Progress = no_progress
) -> RunReport:
    """Blocks until the load has ended, or soon after `interrupt.requested`.

    A request that fails is counted. Raises ConfigError for a target that cannot be used at all.
    """
    interrupt = interrupt or Interrupt()
    if plan.processes == 1:
        shares = [_here(plan, interrupt, progress)]
    else:
        shares = in_processes(plan, interrupt, progress)
    # On the wall clock, and without what came before the load: the warm-up, making prompts.
    began = datetime.now(UTC) - timedelta(seconds=time.perf_counter() - shares[0].began_s)
    records = [record for share in shares for record in share.records]
    facts = RunFacts(
        name=plan.name,
        load=plan.load.report(),
        started_at=began,
        began_s=shares[0].began_s,
        arm=plan.arm,
        round=plan.round,
        interrupted=interrupt.requested,
        client=client_report(shares, records),
        nodes=_nodes(plan, began),
    )
    return summarise(facts, records, plan.yardsticks)


def _nodes(plan: RunPlan, began: datetime) -> tuple[NodeUsage, ...]:
    if plan.prometheus is None:
        return ()
    return node_usage(plan.prometheus, began, datetime.now(UTC))


def _here(plan: RunPlan, interrupt: Interrupt, progress: Progress) -> Worked:
    def tick(snapshot: Snapshot) -> bool:
        progress(snapshot)
        return interrupt.requested

    return uvloop.run(work(plan, Share(), time.perf_counter, tick))


def client_report(shares: Sequence[Worked], records: Sequence[RequestRecord]) -> ClientReport:
    """What the client cost, and whether it stood in the way."""
    costs = [share.cost for share in shares]
    num_events = sum(cost.num_events for cost in costs)
    cpu_s = sum(cost.cpu_s for cost in costs)
    wall_s = max(cost.wall_s for cost in costs)
    cpu_share = max(cost.cpu_s / cost.wall_s for cost in costs)
    loop_lag_ms = max(_p99_ms(cost.loop_lags_s) for cost in costs)
    send_lag_ms = _p99_ms([record.sent_s - record.scheduled_s for record in records])
    return ClientReport(
        processes=len(costs),
        cpu_s=cpu_s,
        cpu_share=cpu_share,
        cpu_us_per_event=cpu_s / num_events * 1e6 if num_events else None,
        events_per_s=num_events / wall_s,
        peak_in_flight=sum(cost.peak_in_flight for cost in costs),
        loop_lag_p99_ms=loop_lag_ms,
        send_lag_p99_ms=send_lag_ms,
        overloaded=overload(cpu_share, loop_lag_ms),
    )


def overload(cpu_share: float, loop_lag_p99_ms: float) -> str | None:
    """Why the client's own figures are not to be trusted, if they are not. Pure.

    A request that leaves late is no sign of it: in an open loop with a cap it waits for the server.
    """
    if cpu_share > MOST_CPU_SHARE:
        return (
            f"the client used {cpu_share:.0%} of a core: what it measured may be itself; "
            "add --processes"
        )
    if loop_lag_p99_ms > MOST_LAG_MS:
        return (
            f"the client ran up to {loop_lag_p99_ms:.0f} ms late (99th percentile), and so may its "
            "timestamps be: give it a core of its own, or a machine"
        )
    return None


def _p99_ms(seconds: Sequence[float]) -> float:
    return float(np.percentile(seconds, 99)) * 1000 if len(seconds) else 0.0
