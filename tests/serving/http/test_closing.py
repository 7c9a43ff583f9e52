"""A port that is closed loses no answer and takes no new connection; over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from serving.http.closing import close_port

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Slow:
    """Answers when it is let."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.let = asyncio.Event()

    async def __call__(self, scope, receive, send) -> None:
        self.asked.set()
        await self.let.wait()
        await PlainTextResponse("the end")(scope, receive, send)


@asynccontextmanager
async def served(app) -> AsyncIterator[str]:
    """`app` on a free port, in a task of its own as Serve does it; its URL."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await serving


async def test_an_answer_that_is_under_way_is_whole_and_nobody_else_is_let_in() -> None:
    app = Slow()
    async with served(app) as url, httpx.AsyncClient() as http:
        answer = asyncio.create_task(http.get(url))
        await app.asked.wait()
        closing = asyncio.create_task(close_port(10))
        async with asyncio.timeout(60):
            while await answers(url):
                await asyncio.sleep(0.01)
        assert not closing.done()
        app.let.set()
        assert (await answer).text == "the end"
        assert (await answer).headers["connection"] == "close"
        async with asyncio.timeout(60):
            await closing


async def test_it_waits_no_longer_than_it_is_told() -> None:
    app = Slow()
    async with served(app) as url, httpx.AsyncClient() as http:
        answer = asyncio.create_task(http.get(url))
        await app.asked.wait()
        async with asyncio.timeout(60):
            await close_port(0.3)
        app.let.set()
        await answer


async def test_without_a_server_there_is_nothing_to_close() -> None:
    async with asyncio.timeout(1):
        await close_port(10)


async def answers(url: str) -> bool:
    """Whether a connection can be made."""
    parts = httpx.URL(url)
    try:
        _, writer = await asyncio.open_connection(parts.host, parts.port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True
