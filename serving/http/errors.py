"""Turns whatever went wrong into one OpenAI-shaped answer.

The only place where an exception nobody foresaw is caught: it becomes a 500 for its own request
and a log line with the request's id, and touches no other request.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import ClassVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import InvalidRequest, ServingError
from serving.http.responses import error_response

logger = logging.getLogger("serving.http")


class NoSuchRoute(InvalidRequest):
    """Nothing lives at this path."""

    status: ClassVar[int] = 404
    code: ClassVar[str | None] = "unknown_route"


class MethodNotAllowed(InvalidRequest):
    """The path exists, for other methods."""

    status: ClassVar[int] = 405
    code: ClassVar[str | None] = "method_not_allowed"

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self._allow = allow

    @property
    def headers(self) -> dict[str, str]:
        return {"allow": self._allow}


class ErrorMiddleware:
    """Answers with the error when the application raises before it has answered."""

    def __init__(self, app: ASGIApp, on_error: Callable[[ServingError], None]) -> None:
        """`on_error` hears of every error that is answered."""
        self._app = app
        self._on_error = on_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; errors after the answer has begun end it as they are."""
        started = False

        def watched_send(message: Message) -> Awaitable[None]:
            nonlocal started
            started = True
            return send(message)

        try:
            await self._app(scope, receive, watched_send)
        except Exception as error:  # the edge of the process: one request must not harm another
            if started or scope["type"] != "http":
                raise
            known = as_serving_error(error, scope)
            self._on_error(known)
            await error_response(known)(scope, receive, send)


def as_serving_error(error: Exception, scope: Scope) -> ServingError:
    """The error itself when it is one of ours; otherwise it is logged and a 500 stands for it."""
    if isinstance(error, ServingError):
        return error
    request_id = scope.get("request_id", "-")
    logger.error("request %s failed", request_id, exc_info=error)
    return ServingError(f"Internal error; the server's log tells more about request {request_id}.")


async def refuse_http(request: Request, error: Exception) -> Response:
    """Starlette's own 404 and 405, raised as ours."""
    where = f"{request.method} {request.url.path}"
    if isinstance(error, HTTPException) and error.status_code == 405:
        allow = ", ".join(sorted(_methods_here(request)))
        raise MethodNotAllowed(f"{where} is not possible; this path takes {allow}.", allow=allow)
    raise NoSuchRoute(f"There is no route {where}; GET / lists them.")


def _methods_here(request: Request) -> set[str]:
    """What the routes of this path take; there may be several."""
    here = [route for route in request.app.routes if route.matches(request.scope)[0] != Match.NONE]
    return set().union(*(route.methods or () for route in here))
