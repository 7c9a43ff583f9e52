"""One request's way through vLLM's app: its body again, its time limit, its errors held back.

vLLM's handlers end a request's work when its client disconnects, and on nothing else: cancelling
their task would leave the work running. So a request whose time is up is told that its client has
left, and what the handlers say to that is not passed on.

Once vLLM's engine has died there is no work to be left, and the handlers hear of it seconds late: a
request that is still on its way then is ended here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import RequestTimeout, ServingError
from serving.gpu.vllm_errors import as_serving_error

ABOUT_THE_BODY = frozenset({b"content-type", b"content-length"})
DISCONNECT: Message = {"type": "http.disconnect"}


def as_json_request(scope: Scope) -> Scope:
    """The request's scope, its body declared to be what it is: JSON, of a length yet to be seen.

    With a version of ASGI below 2.4 Starlette listens for the client's leaving while it streams.
    """
    headers = [pair for pair in scope["headers"] if pair[0] not in ABOUT_THE_BODY]
    return {
        **scope,
        "headers": [*headers, (b"content-type", b"application/json")],
        "asgi": {**scope.get("asgi", {}), "spec_version": "2.3"},
    }


class Deadline:
    """The moment at which a request's time is up; `limit_s` None: never."""

    def __init__(self, limit_s: float | None) -> None:
        self._limit_s = limit_s
        self._at = None if limit_s is None else asyncio.get_running_loop().time() + limit_s
        self.expired = False

    async def receive(self, receive: Receive) -> Message:
        """The next message, or that the client has left when time is up before it comes."""
        try:
            async with asyncio.timeout_at(self._at):
                return await receive()
        except TimeoutError:
            self.expired = True
            return DISCONNECT

    def error(self) -> RequestTimeout:
        """What the client is told."""
        return RequestTimeout(
            f"The request took longer than {self._limit_s:g} s, waiting included, and was "
            "cancelled."
        )


class Passage:
    """Runs `app` for one request whose body has been read already."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        body: bytes,
        *,
        limit_s: float | None,
        fields: Collection[str] = (),
        on_error: Callable[[ServingError], None],
    ) -> None:
        """`fields`: those of the request; `on_error` hears of errors that can only end a
        stream.
        """
        self._fields = fields
        self._receive = receive
        self._send = send
        self._body: bytes | None = body
        self._deadline = Deadline(limit_s)
        self._on_error = on_error
        self._started = False
        self._failed_status = 0
        self._failed_body = bytearray()
        self._task: asyncio.Task[Any] | None = None
        self._ended_by: ServingError | None = None

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Answer the request; raises what the answer would have been if it is an error."""
        self._task = asyncio.current_task()
        try:
            await app(as_json_request(scope), self._give, self._take)
        except asyncio.CancelledError:
            if self._ended_by is None or self._task is None:
                raise
            self._task.uncancel()
        if self._ended_by is not None:
            await self._say_last(self._ended_by)
        elif self._deadline.expired:
            await self._say_last(self._deadline.error())
        elif self._failed_status:
            raise as_serving_error(self._failed_status, bytes(self._failed_body), self._fields)

    def end(self, error: ServingError) -> None:
        """End it with this error; nobody works for it any more."""
        if self._ended_by is None and self._task is not None:
            self._ended_by = error
            self._task.cancel()

    async def _give(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        return await self._deadline.receive(self._receive)

    def _take(self, message: Message) -> Awaitable[None]:
        # No coroutine of its own: this runs for every piece of every stream.
        if self._failed_status or self._deadline.expired or not self._passes(message):
            return self._hold(message)
        return self._send(message)

    def _passes(self, message: Message) -> bool:
        if message["type"] != "http.response.start":
            return True
        if message["status"] >= 400:
            self._failed_status = message["status"]
            return False
        self._started = True
        return True

    async def _hold(self, message: Message) -> None:
        self._failed_body += message.get("body", b"")

    async def _say_last(self, error: ServingError) -> None:
        if not self._started:
            raise error
        self._on_error(error)
        event = f"data: {json.dumps(error.body())}\n\n".encode()
        await self._send({"type": "http.response.body", "body": event, "more_body": False})
