"""A run in several processes, which start their load together; the parent only listens."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing.connection import wait
from typing import Any

import uvloop

from inference.bench.client.worker import Share, Worked, work
from inference.bench.plan import Interrupt, Progress, RunPlan, Snapshot
from serving.errors import ConfigError

START_DELAY_S = 0.1  # from "all are ready" to the first request, so that all have heard of it
STOP = "stop"
READY = "ready"


def in_processes(plan: RunPlan, interrupt: Interrupt, progress: Progress) -> list[Worked]:
    """What each process brings back; raises ConfigError with the reason of one that cannot work."""
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pipes = []
        for index in range(plan.processes):
            ours, theirs = context.Pipe()
            share = Share(index, plan.processes)
            process = context.Process(target=_child, args=(plan, share, theirs), daemon=True)
            process.start()
            theirs.close()
            stack.callback(process.join)
            stack.callback(ours.close)  # first: a child that still waits then ends
            pipes.append(ours)
        return Crowd(pipes, interrupt, progress).results()


class Crowd:
    """The parent's side."""

    def __init__(self, pipes: Sequence[Any], interrupt: Interrupt, progress: Progress) -> None:
        self._pipes = list(pipes)
        self._interrupt = interrupt
        self._progress = progress
        self._num_ready = 0
        self._snapshots: dict[int, Snapshot] = {}
        self._results: dict[int, Worked] = {}
        self._told_to_stop = False

    def results(self) -> list[Worked]:
        """When all have ended."""
        while busy := [
            pipe for index, pipe in enumerate(self._pipes) if index not in self._results
        ]:
            for pipe in wait(busy, timeout=0.1):
                self._hear(self._pipes.index(pipe))
            if self._interrupt.requested and not self._told_to_stop:
                self._told_to_stop = True
                self._tell(STOP)
        return [self._results[index] for index in range(len(self._pipes))]

    def _hear(self, index: int) -> None:
        try:
            said = self._pipes[index].recv()
        except EOFError:
            raise ConfigError(f"client process {index} ended without a result") from None
        match said:
            case str():
                self._num_ready += 1
                if self._num_ready == len(self._pipes):
                    self._tell(time.perf_counter() + START_DELAY_S)
            case Snapshot():
                self._snapshots[index] = said
                self._progress(total(list(self._snapshots.values())))
            case Worked():
                self._results[index] = said
            case ConfigError():
                raise said

    def _tell(self, word: float | str) -> None:
        for index, pipe in enumerate(self._pipes):
            if index not in self._results:
                pipe.send(word)


def total(snapshots: Sequence[Snapshot]) -> Snapshot:
    """Of all processes; the TTFT is the slowest one's."""
    return Snapshot(
        elapsed_s=max(each.elapsed_s for each in snapshots),
        sent=sum(each.sent for each in snapshots),
        succeeded=sum(each.succeeded for each in snapshots),
        failed=sum(each.failed for each in snapshots),
        in_flight=sum(each.in_flight for each in snapshots),
        output_events=sum(each.output_events for each in snapshots),
        recent_ttft_ms=max(
            (each.recent_ttft_ms for each in snapshots if each.recent_ttft_ms is not None),
            default=None,
        ),
    )


class _Line:
    """A child's side of its pipe. Until `ready` has returned only that reads from it."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._started = self._told_to_stop = False

    def ready(self) -> float:
        self._pipe.send(READY)
        word = self._pipe.recv()
        self._told_to_stop = word == STOP
        self._started = True
        return time.perf_counter() if self._told_to_stop else word

    def tick(self, snapshot: Snapshot) -> bool:
        self._pipe.send(snapshot)
        if self._started and not self._told_to_stop and self._pipe.poll():
            self._told_to_stop = self._pipe.recv() == STOP
        return self._told_to_stop


def _child(plan: RunPlan, share: Share, pipe: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    line = _Line(pipe)
    try:
        pipe.send(uvloop.run(work(plan, share, line.ready, line.tick)))
    except ConfigError as error:
        pipe.send(error)
    except (EOFError, BrokenPipeError):
        return  # the parent is gone
