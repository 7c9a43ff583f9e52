"""A replica on a free loopback port, in a thread of its own, for tests with real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from serving.engine import Engine
from serving.engines.echo import EchoEngine
from serving.http import FaceSettings, ReplicaFace
from serving.http.auth import ApiKeys
from serving.types import EngineSettings

MODEL = "echo"


@dataclass
class Live:
    """What a test needs to know about the running replica."""

    port: int
    face: ReplicaFace
    engine: Any
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


def echo(**engine_kwargs: float) -> EchoEngine:
    return EchoEngine(EngineSettings(Path(), engine_kwargs=engine_kwargs))


@contextmanager
def live(
    engine: Engine | None = None,
    *,
    keys: ApiKeys | None = None,
    prepare: Callable[[ReplicaFace], None] = ReplicaFace.ready,
    **settings: Any,
) -> Iterator[Live]:
    """Serve `engine` (echo by default) until the block ends."""
    engine = engine or echo()
    face = ReplicaFace(
        FaceSettings(**{"model_id": MODEL, **settings}), engine, "echo", keys=keys or ApiKeys()
    )
    server = uvicorn.Server(
        uvicorn.Config(face.asgi_app(), log_level="warning", timeout_graceful_shutdown=2)
    )
    # With its protocol named, asyncio sets TCP_NODELAY, as Serve and uvloop do for theirs.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    loops: list[asyncio.AbstractEventLoop] = []

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        await engine.load()
        prepare(face)
        await server.serve(sockets=[listener])

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        while not server.started:
            thread.join(0.005)
            assert thread.is_alive(), "the server did not start"
        yield Live(listener.getsockname()[1], face, engine, loops[0])
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
