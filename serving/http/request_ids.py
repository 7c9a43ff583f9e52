"""Every request has an id: the caller's `x-request-id`, or one of ours.

It comes back in the answer's header and stands in every log line about the request.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = b"x-request-id"
# What is safe in a log line and in a header.
ACCEPTABLE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


class RequestIdMiddleware:
    """Gives each request its id and says it in the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its id under `request_id` in the scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["request_id"] = _id_of(scope)

        # Not a coroutine itself: this runs for every piece of every stream.
        def send_with_id(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER, request_id.encode())]
            return send(message)

        await self._app(scope, receive, send_with_id)


def _id_of(scope: Scope) -> str:
    given: bytes = dict(scope["headers"]).get(HEADER, b"")
    return given.decode() if ACCEPTABLE.fullmatch(given) else uuid.uuid4().hex
