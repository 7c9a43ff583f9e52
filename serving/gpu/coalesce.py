"""Fewer, larger writes of a stream: each one costs the replica, the proxy and the client.

The first chunk leaves at once, later ones gather for a window, the last flushes. Only event
streams; everything else passes as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

EVENT_STREAM = b"text/event-stream"


# Seconds for which chunks gather now; 0: each leaves at once.
Window = Callable[[], float]

# Behind HAProxy, too, writing is half of what a replica does for a token, so while many streams
# run they write less often, the more there are the less. The eye sees no difference, and tokens
# that come more slowly than this do not wait at all.
BUSY_STREAMS = 8
WINDOW_PER_STREAM_S = 0.0015
LONGEST_WINDOW_S = 0.05


def window_when_busy(num_running: Callable[[], int]) -> Window:
    """No window while few streams run, and a longer one the more do."""

    def window_s() -> float:
        running = num_running()
        if running < BUSY_STREAMS:
            return 0.0
        return min(running * WINDOW_PER_STREAM_S, LONGEST_WINDOW_S)

    return window_s


class CoalesceMiddleware:
    """Gathers the chunks of event streams for `window_s()`."""

    def __init__(self, app: ASGIApp, window_s: Window) -> None:
        self._app = app
        self._window_s = window_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        writer = GatheringSend(send, self._window_s)
        try:
            await self._app(scope, receive, writer.send)
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

    async def send(self, message: Message) -> None:
        """Write now, or keep for the window's end."""
        if message["type"] == "http.response.start":
            content_type = dict(message.get("headers", ())).get(b"content-type", b"")
            self._gathers = content_type.startswith(EVENT_STREAM)
        if not self._gathers or message["type"] != "http.response.body":
            await self._send(message)
            return
        if self._timer is None and not self._window_s():
            await self._send(message)
            return
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
