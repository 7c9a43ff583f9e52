"""The application of one replica: its routes, and what every request passes on its way to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.routing import Route

from serving.errors import ServingError
from serving.http.auth import ApiKeys
from serving.http.errors import refuse_http
from serving.http.middleware import middleware


def create_app(
    routes: Sequence[Route],
    *,
    keys: ApiKeys,
    loopback_only: bool,
    on_error: Callable[[ServingError], None],
) -> Starlette:
    """The ASGI application; `on_error` hears of every error that is answered."""
    return Starlette(
        routes=list(routes),
        middleware=middleware(keys=keys, loopback_only=loopback_only, on_error=on_error),
        exception_handlers={404: refuse_http, 405: refuse_http},
    )
