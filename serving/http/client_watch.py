"""Stops a request's work when nobody is left to answer, or when it takes too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType

from starlette.types import Receive

from serving.errors import ClientGone, RequestTimeout


@asynccontextmanager
async def time_limit(limit_s: float | None) -> AsyncIterator[None]:
    """Cancel the block after `limit_s` seconds and raise RequestTimeout; None: no limit."""
    scope = asyncio.timeout(limit_s)
    try:
        async with scope:
            yield
    except TimeoutError as error:
        if not scope.expired():  # somebody else's
            raise
        raise RequestTimeout(
            f"The request took longer than {limit_s:g} s, waiting included, and was cancelled."
        ) from error


class ClientWatch:
    """Cancels the block when the client disconnects, and raises ClientGone.

    To be entered when the body has been read, and left before the last piece of the answer is
    sent: servers report a completed answer as a disconnect, too.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._listener = asyncio.create_task(self._listen())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.cancel()
        if not self._gone:
            return
        if kind is None:
            await _swallow_cancellation()
        # As asyncio.timeout does: if somebody else cancelled us as well, that goes first.
        if self._task.uncancel() <= self._cancelling and kind in (None, asyncio.CancelledError):
            raise ClientGone("The client went away.") from error

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._task.cancel()


async def _swallow_cancellation() -> None:
    """The block ended between our cancel() and its arrival: let it arrive here."""
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        return
