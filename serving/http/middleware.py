"""What every request to a replica passes on its way to a route, whoever answers there."""

from __future__ import annotations

from collections.abc import Callable

from starlette.middleware import Middleware

from serving.errors import ServingError
from serving.http.auth import ApiKeys, AuthMiddleware
from serving.http.errors import ErrorMiddleware
from serving.http.loopback import LoopbackOnlyMiddleware
from serving.http.request_ids import RequestIdMiddleware


def middleware(
    *, keys: ApiKeys, loopback_only: bool, on_error: Callable[[ServingError], None]
) -> list[Middleware]:
    """Outermost first: a refused peer and a wrong key get an answer of our shape, with an id."""
    return [
        Middleware(RequestIdMiddleware),
        Middleware(ErrorMiddleware, on_error=on_error),
        *([Middleware(LoopbackOnlyMiddleware)] if loopback_only else []),
        Middleware(AuthMiddleware, keys=keys),
    ]
