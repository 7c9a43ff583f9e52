"""A replica's own HTTP port, closed before its process ends at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import uvicorn


async def close_port(limit_s: float) -> None:
    """Take no new connection, and return when every answer is on the wire, or after `limit_s`.

    A proxy that is refused a connection asks another replica; one whose connection breaks without
    an answer can only break its client's. Serve runs the server and does not hand it out.
    """
    servers = dict(_servers())
    for server in servers.values():
        server.should_exit = True
    if servers:
        await asyncio.wait(servers, timeout=limit_s)


def _servers() -> Iterator[tuple[asyncio.Task[Any], uvicorn.Server]]:
    """Those of this event loop, each with the task that ends when it has closed."""
    for task in asyncio.all_tasks():
        frame = getattr(task.get_coro(), "cr_frame", None)
        server = frame.f_locals.get("self") if frame is not None else None
        if isinstance(server, uvicorn.Server):
            yield task, server
