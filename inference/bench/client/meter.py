"""What a run costs the client and how it stands, counted while it goes."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from inference.bench.client.connection import Exchange
from inference.bench.plan import Snapshot
from inference.bench.record import FailureKind, RequestRecord

LAG_PERIOD_S = 0.01
RECENT = 64  # requests that the live figures look back on


@dataclass(frozen=True, slots=True)
class Cost:
    """One process' share of a ClientReport."""

    wall_s: float
    cpu_s: float
    num_events: int
    peak_in_flight: int
    loop_lags_s: tuple[float, ...]


class Meter:
    """Counts for one process. `watch` runs beside the load and measures the event loop's lag."""

    def __init__(self) -> None:
        self._lags_s: list[float] = []
        self._recent_ttft_s: deque[float] = deque(maxlen=RECENT)
        self._running: set[Exchange] = set()
        self.reset()

    def reset(self) -> None:
        """Forget the warm-up."""
        self._sent = self._succeeded = self._failed = self._peak = self._num_events = 0
        self._in_flight = 0
        self._lags_s.clear()
        self._began_s, self._began_cpu_s = time.perf_counter(), time.process_time()

    def began(self, exchange: Exchange) -> None:
        self._sent += 1
        self._in_flight += 1
        self._peak = max(self._peak, self._in_flight)

    def ended(self, record: RequestRecord) -> None:
        self._in_flight -= 1
        self._num_events += len(record.event_times_s)
        if record.failure is None:
            self._succeeded += 1
        elif record.failure.kind is not FailureKind.INTERRUPTED:
            self._failed += 1
        if record.ttft_s is not None:
            self._recent_ttft_s.append(record.ttft_s)

    async def watch(self) -> None:
        """Until cancelled."""
        with suppress(asyncio.CancelledError):
            while True:
                due_s = time.perf_counter() + LAG_PERIOD_S
                await asyncio.sleep(LAG_PERIOD_S)
                self._lags_s.append(max(0.0, time.perf_counter() - due_s))

    def snapshot(self) -> Snapshot:
        recent = self._recent_ttft_s
        return Snapshot(
            elapsed_s=time.perf_counter() - self._began_s,
            sent=self._sent,
            succeeded=self._succeeded,
            failed=self._failed,
            in_flight=self._in_flight,
            output_events=self._num_events,
            recent_ttft_ms=statistics.median(recent) * 1000 if recent else None,
        )

    def cost(self) -> Cost:
        return Cost(
            wall_s=time.perf_counter() - self._began_s,
            cpu_s=time.process_time() - self._began_cpu_s,
            num_events=self._num_events,
            peak_in_flight=self._peak,
            loop_lags_s=tuple(self._lags_s),
        )
