"""Fewer, larger writes of a stream: each one costs the replica, the proxy and the client.

The first chunk leaves at once, later ones gather for a window, the last flushes. Only event
streams; everything else passes as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from starlette.types import Message, Send

EVENT_STREAM = b"text/event-stream"

# Seconds for which chunks gather now; 0: each leaves at once.
Window = Callable[[], float]


@contextmanager
def gathering(send: Send, window_s: Window) -> Iterator[Send]:
    """`send` for one response, whose chunks gather for `window_s()` if it is an event stream."""
    writer = GatheringSend(send, window_s)
    try:
        yield writer.send
    finally:
        writer.close()


class GatheringSend:
    """One response's writes."""

    def __init__(self, send: Send, window_s: Window) -> None:
        self._send = send
        self._window_s = window_s
        self._gathers = False
        self._gathered: list[bytes] = []
        self._timer: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()  # writes keep their order

    def send(self, message: Message) -> Awaitable[None]:
        """Write now, or keep for the window's end."""
        # No coroutine of its own where it only passes: this runs for every piece of every stream.
        return self._send(message) if self._passes(message) else self._gather(message)

    def _passes(self, message: Message) -> bool:
        if message["type"] == "http.response.start":
            content_type = dict(message.get("headers", ())).get(b"content-type", b"")
            self._gathers = content_type.startswith(EVENT_STREAM)
        if not self._gathers or message["type"] != "http.response.body":
            return True
        return self._timer is None and not self._window_s()

    async def _gather(self, message: Message) -> None:
        if self._timer is not None and self._timer.done():
            self._timer.result()  # the client has left
        self._gathered.append(message.get("body", b""))
        if not message.get("more_body", False):
            await self._write_last()
        elif self._timer is None:
            self._timer = asyncio.create_task(self._write_at_intervals())

    async def _write_at_intervals(self) -> None:
        """At once, and then whenever a window has brought something."""
        while self._gathered:
            async with self._writing:
                await self._write(more=True)
            await asyncio.sleep(self._window_s())
        self._timer = None

    async def _write_last(self) -> None:
        async with self._writing:  # a write under way is not cut short
            self.close()
            await self._write(more=False)

    async def _write(self, *, more: bool) -> None:
        body, self._gathered = b"".join(self._gathered), []
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    def close(self) -> None:
        """Stop the clock; what has gathered is the caller's to write."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
