"""Offers load: a closed loop of clients, or requests that are due whether or not others are done.

In an open loop a request that must wait for a free place keeps the time it was due, so its wait is
in its latency: nothing is omitted because the server was slow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass

from inference.bench.record import PromptSource, RequestRecord, Send

STAGGER_S = 0.0005  # between the first requests of a closed loop's clients, as between real ones
PAUSE_S = 0.1  # of a client whose request failed: a server in trouble is not to be hammered


class End:
    """When to ask no more: out of time, or told to stop."""

    def __init__(self) -> None:
        self._at_s: float | None = None
        self._told = asyncio.Event()

    def tell(self) -> None:
        self._told.set()

    def after(self, seconds: float | None, began_s: float) -> None:
        """Set the time, once the load has begun (at `began_s` of `time.perf_counter()`)."""
        self._at_s = None if seconds is None else began_s + seconds

    @property
    def reached(self) -> bool:
        late = self._at_s is not None and time.perf_counter() >= self._at_s
        return late or self._told.is_set()

    async def sleep_until(self, due_s: float) -> None:
        """Or until told to stop."""
        early_s = due_s - time.perf_counter()
        if early_s <= 0:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(early_s):
                await self._told.wait()


@dataclass(frozen=True, slots=True)
class Asking:
    """What both loops need."""

    send: Send
    prompts: PromptSource
    end: End


async def closed_loop(
    asking: Asking, numbers: Iterable[int], concurrency: int
) -> list[RequestRecord]:
    """`concurrency` clients; each asks again when its answer is complete, until none is left."""
    records: list[RequestRecord] = []
    waiting = iter(numbers)

    async def client(delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        while not asking.end.reached and (number := next(waiting, None)) is not None:
            prompt = asking.prompts.prompt(number)
            records.append(await asking.send(number, prompt, time.perf_counter()))
            if records[-1].failure is not None:
                await asking.end.sleep_until(time.perf_counter() + PAUSE_S)

    await asyncio.gather(*(client(STAGGER_S * place) for place in range(concurrency)))
    return records


async def open_loop(
    asking: Asking, due: Iterator[tuple[int, float]], cap: int | None
) -> list[RequestRecord]:
    """Each request at its time (of `time.perf_counter()`), at most `cap` of them at once."""
    records: list[RequestRecord] = []
    places = asyncio.Semaphore(cap) if cap else None

    async def ask(number: int, due_s: float) -> None:
        prompt = asking.prompts.prompt(number)
        async with places or nullcontext():
            records.append(await asking.send(number, prompt, due_s))

    async with asyncio.TaskGroup() as tasks:
        for number, due_s in due:
            await asking.end.sleep_until(due_s)
            if asking.end.reached:
                break
            tasks.create_task(ask(number, due_s))
    return records
