"""One process' share of a run: warm up, wait for the others, offer the load, count."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from inference.bench.client import open_files
from inference.bench.client.loops import Asking, End, closed_loop, open_loop
from inference.bench.client.meter import Cost, Meter
from inference.bench.client.sender import Sender
from inference.bench.plan import Load, RunPlan, Snapshot
from inference.bench.prompts.tokenizer import BenchTokenizer
from inference.bench.record import CountedBy, Prompt, PromptSource, RequestRecord
from inference.bench.safety import checked

FIRST_WARMUP_NUMBER = 1 << 30  # far from the run's own, so that no prompt is asked twice
MOST_PREPARED = 2000  # prompts made before the start; later ones are made as they are due
TICK_S = 0.1


@dataclass(frozen=True, slots=True)
class Share:
    """Which process this is."""

    index: int = 0
    of: int = 1

    def mine(self, items: Iterable[tuple[int, float]]) -> Iterator[tuple[int, float]]:
        return itertools.islice(iter(items), self.index, None, self.of)

    def part(self, whole: int) -> int:
        """Of so many clients or requests, this process' own."""
        return whole // self.of + (self.index < whole % self.of)


@dataclass(frozen=True, slots=True)
class Worked:
    """What one process brings back."""

    began_s: float
    records: tuple[RequestRecord, ...]
    cost: Cost


# Called when the warm-up is over; returns when the load begins, on the records' clock.
Ready = Callable[[], float]
# Called ten times a second; True ends the run.
Tick = Callable[[Snapshot], bool]


async def work(plan: RunPlan, share: Share, ready: Ready, tick: Tick) -> Worked:
    """Raises ConfigError for a target or a tokenizer that cannot be used."""
    tokenizer = BenchTokenizer(plan.target.tokenizer) if plan.target.tokenizer else None
    open_files.allow(plan.load, share.of)
    meter = Meter()
    sender = Sender(plan.target, meter, keep_texts=plan.safety is not None)
    send = checked(sender.send, plan.safety) if plan.safety else sender.send
    load = plan.load
    end = End()
    helpers = [
        asyncio.create_task(meter.watch()),
        asyncio.create_task(_tick(meter, sender, tick, end)),
    ]
    try:
        await _warm_up(Asking(send, plan.prompts, end), load, share)
        prompts = Prepared(plan.prompts, _first_numbers(load, share))
        began_s = await asyncio.to_thread(ready)
        await asyncio.sleep(began_s - time.perf_counter())
        meter.reset()
        end.after(load.duration_s, began_s)
        records = await _offer(Asking(send, prompts, end), load, share, began_s)
        cost = meter.cost()
    finally:
        for task in helpers:
            task.cancel()
        sender.close()
    return Worked(began_s, tuple(count_tokens(records, tokenizer)), cost)


async def _tick(meter: Meter, sender: Sender, tick: Tick, end: End) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        if tick(meter.snapshot()):
            end.tell()
            sender.stop()
            return


async def _warm_up(asking: Asking, load: Load, share: Share) -> None:
    count = share.part(load.warmup_requests)
    first = FIRST_WARMUP_NUMBER + share.index * load.warmup_requests
    await closed_loop(asking, range(first, first + count), min(count, load.concurrency or count))


async def _offer(asking: Asking, load: Load, share: Share, began_s: float) -> list[RequestRecord]:
    if load.arrivals is None:
        concurrency = share.part(load.concurrency or 1)
        return await closed_loop(asking, _numbers(load, share), concurrency)
    cap = share.part(load.concurrency) if load.concurrency else None
    return await open_loop(asking, share.mine(_due(load, began_s)), cap)


def _numbers(load: Load, share: Share) -> Iterator[int]:
    if load.num_requests is None:
        return itertools.count(share.index, share.of)
    return iter(range(share.index, load.num_requests, share.of))


def _due(load: Load, began_s: float) -> Iterator[tuple[int, float]]:
    """Every request of an open loop and when it is due, whichever process sends it."""
    assert load.arrivals is not None
    offsets = itertools.islice(load.arrivals.offsets_s(), load.num_requests)
    for number, offset_s in enumerate(offsets):
        if load.duration_s is not None and offset_s >= load.duration_s:
            return
        yield number, began_s + offset_s


def _first_numbers(load: Load, share: Share) -> Iterator[int]:
    if load.arrivals is None:
        return _numbers(load, share)
    return (number for number, _ in share.mine(_due(load, 0.0)))


class Prepared:
    """Prompts that are made before they are due, as far as is reasonable."""

    def __init__(self, source: PromptSource, numbers: Iterator[int]) -> None:
        self._source = source
        first = itertools.islice(numbers, MOST_PREPARED)
        self._prepared = {number: source.prompt(number) for number in first}

    def prompt(self, number: int) -> Prompt:
        return self._prepared.pop(number, None) or self._source.prompt(number)


def count_tokens(
    records: list[RequestRecord], tokenizer: BenchTokenizer | None
) -> list[RequestRecord]:
    """Where the server did not count; after the run, when nobody waits."""
    if tokenizer is None:
        return records
    return [_counted(record, tokenizer) for record in records]


def _counted(record: RequestRecord, tokenizer: BenchTokenizer) -> RequestRecord:
    if record.counted_by is not CountedBy.EVENTS:
        return record
    num_tokens = tokenizer.count(record.extra.get("text", ""))
    return replace(record, output_tokens=num_tokens, counted_by=CountedBy.TOKENIZER)
