"""Runs an engine's generators and hands over what they have produced, all at once.

One task pumps each generator into a common list while the reader writes; the reader then takes
everything that has gathered. So a slow client costs fewer, larger writes instead of a queue of
small ones, and the prompts of one request merge into one stream of choices.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self

from serving.engine import Engine
from serving.types import Chunk, GenerateRequest

Batch = list[tuple[int, Chunk]]
"""Chunks with the number of the choice, among all choices of the HTTP request, each belongs to."""


class ChunkStream:
    """The chunks of several generate requests as one stream; an asynchronous context.

    Leaving the context closes every generator that still runs and returns when that is done.
    """

    def __init__(
        self,
        engine: Engine,
        requests: Sequence[GenerateRequest],
        *,
        at_once: int,
        gather_s: float = 0.0,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """`at_once` generators run side by side. After the first, a batch comes no sooner than
        `gather_s` after the one before, except the last. `on_end` is called once, when the engine
        has nothing more to do for these requests.
        """
        self._engine = engine
        self._requests = requests
        self._num_pumps = min(at_once, len(requests))
        self._gather_s = gather_s
        self._on_end = on_end
        self._pumps: list[asyncio.Task[None]] = []
        self._ready: Batch = []
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._last_taken_s: float | None = None

    async def __aenter__(self) -> Self:
        pending = enumerate(self._requests)  # shared: each pump takes the next
        self._pumps = [asyncio.create_task(self._pump(pending)) for _ in range(self._num_pumps)]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come: neither chunks nor an error."""
        return not self._num_pumps and not self._ready and self._error is None

    async def take(self) -> Batch:
        """Everything that is ready, waiting for at least one chunk; empty at the end.

        Raises what the engine raised, after the chunks that came before it.
        """
        while not self._ready:
            if self._error is not None:
                raise self._error
            if not self._num_pumps:
                return []
            await self._wait()
        if self._gather_s:
            await self._gather()
        ready, self._ready = self._ready, []
        return ready

    async def _pump(self, pending: Iterator[tuple[int, GenerateRequest]]) -> None:
        try:
            for number, request in pending:
                await self._run(number * request.n, request)
        except Exception as error:  # carried to the reader's task, which raises it
            self._error = self._error or error
        finally:
            self._num_pumps -= 1
            if not self._num_pumps:
                self._on_end()
            self._wake()

    async def _run(self, first_choice: int, request: GenerateRequest) -> None:
        async with aclosing(self._engine.generate(request)) as chunks:
            async for chunk in chunks:
                self._ready.append((first_choice + chunk.index, chunk))
                if self._waiter is not None:
                    self._wake()

    async def _wait(self) -> None:
        """Sleep until a pump has something to tell."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _gather(self) -> None:
        """Let more gather until the window since the last batch is over, or all has come."""
        clock = asyncio.get_running_loop().time
        if self._last_taken_s is not None:
            left_s = self._last_taken_s + self._gather_s - clock()
            if left_s > 0:
                await asyncio.wait(self._pumps, timeout=left_s)
        self._last_taken_s = clock()
