"""The routes of one replica, and what every request passes on its way to them."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.routing import Route

from serving.errors import ServingError
from serving.http.auth import ApiKeys
from serving.http.chat import understand_chat
from serving.http.completions import understand_completion
from serving.http.errors import refuse_http
from serving.http.generation import GenerationEndpoint, Understand
from serving.http.legacy import understand_generate, understand_root
from serving.http.middleware import middleware
from serving.http.status import StatusRoutes


def create_app(
    status: StatusRoutes,
    endpoint: Callable[[Understand], GenerationEndpoint],
    *,
    keys: ApiKeys,
    loopback_only: bool,
    on_error: Callable[[ServingError], None],
) -> Starlette:
    """The ASGI application; `endpoint` makes a generating route from what it understands."""
    routes = [
        *status.app_routes(),
        Route("/", endpoint(understand_root), methods=["POST"]),
        Route("/v1/chat/completions", endpoint(understand_chat), methods=["POST"]),
        Route("/v1/completions", endpoint(understand_completion), methods=["POST"]),
        Route("/generate", endpoint(understand_generate), methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        middleware=middleware(keys=keys, loopback_only=loopback_only, on_error=on_error),
        exception_handlers={404: refuse_http, 405: refuse_http},
    )
