"""What stands between Ray Serve and a replica's HTTP face."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.http.settings import FaceSettings

# Serve's Python proxy pays for every chunk it forwards, HAProxy does not: behind the former a
# stream's chunks are gathered for this long (docs/benchmarks.md has the figures).
PROXY_COALESCE_MS = 50.0


def with_proxy(face: FaceSettings) -> FaceSettings:
    """The face's settings, fit for the proxy this replica is behind."""
    if os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") == "1":
        return face
    return replace(face, coalesce_ms=PROXY_COALESCE_MS)


class ServeApp:
    """The face as Serve runs it.

    Takes `/cpu` for `/cpu/` where it is mounted at `/cpu`: callers post to the bare prefix, and
    many HTTP clients do not post again where a redirect sends them. Unloads the engine when Serve
    ends the application's lifespan, which it does when it stops a replica in good order.
    """

    def __init__(self, app: ASGIApp, unload: Callable[[], Awaitable[None]]) -> None:
        self._app = app
        self._unload = unload

    @property
    def routes(self) -> list[BaseRoute]:
        """Serve reads them to label its own metrics."""
        return getattr(self._app, "routes", [])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["path"] == scope.get("root_path"):
            scope = {**scope, "path": scope["path"] + "/"}
        await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._unload()
        await send({"type": "lifespan.shutdown.complete"})
