"""The routes of one replica, and what every request passes on its way to them."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from serving.errors import ServingError
from serving.http.auth import ApiKeys, AuthMiddleware
from serving.http.chat import understand_chat
from serving.http.completions import understand_completion
from serving.http.errors import ErrorMiddleware, refuse_http
from serving.http.generation import GenerationEndpoint, Understand
from serving.http.legacy import understand_generate, understand_root
from serving.http.loopback import LoopbackOnlyMiddleware
from serving.http.request_ids import RequestIdMiddleware
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
    middleware = [
        Middleware(RequestIdMiddleware),
        Middleware(ErrorMiddleware, on_error=on_error),
        *([Middleware(LoopbackOnlyMiddleware)] if loopback_only else []),
        Middleware(AuthMiddleware, keys=keys),
    ]
    routes = [
        Route("/", status.root, methods=["GET"]),
        Route("/", endpoint(understand_root), methods=["POST"]),
        Route("/health", status.health, methods=["GET"]),
        Route("/version", status.version, methods=["GET"]),
        Route("/metrics", status.metrics, methods=["GET"]),
        Route("/v1/models", status.models, methods=["GET"]),
        Route("/v1/models/{model_id:path}", status.model, methods=["GET"]),
        Route("/v1/chat/completions", endpoint(understand_chat), methods=["POST"]),
        Route("/v1/completions", endpoint(understand_completion), methods=["POST"]),
        Route("/generate", endpoint(understand_generate), methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        middleware=middleware,
        exception_handlers={404: refuse_http, 405: refuse_http},
    )
