"""How chunks are gathered and written."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from serving.http import FaceSettings, ReplicaFace
from serving.http.auth import ApiKeys
from serving.http.merge import ChunkStream
from serving.types import Chunk, GenerateRequest, PromptInfo
from tests.serving.http.fakes import FakeEngine

REQUEST = GenerateRequest("r", "p")


class Bursts(FakeEngine):
    """Produces bursts of tokens, with a pause after each."""

    def __init__(self, *bursts: int, pause_s: float = 0.01) -> None:
        super().__init__()
        self.bursts = bursts
        self.pause_s = pause_s

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Chunk, None]:
        yield Chunk(text="0", num_tokens=1, prompt=PromptInfo(1, "p"))
        for size in self.bursts:
            await asyncio.sleep(self.pause_s)
            for _ in range(size):
                yield Chunk(text="x", num_tokens=1)
        yield Chunk(finish_reason="stop")


async def batches(stream: ChunkStream) -> list[int]:
    sizes = []
    async with stream:
        while batch := await stream.take():
            sizes.append(len(batch))
    assert stream.ended
    return sizes


def test_what_is_ready_is_taken_together():
    ends: list[None] = []
    stream = ChunkStream(Bursts(3, 2), [REQUEST], at_once=1, on_end=lambda: ends.append(None))
    assert asyncio.run(batches(stream)) == [1, 3, 3]  # the end comes with the last burst
    assert len(ends) == 1


def test_a_window_gathers_more():
    engine = Bursts(*[1] * 20, pause_s=0.005)
    started = time.monotonic()
    sizes = asyncio.run(batches(ChunkStream(engine, [REQUEST], at_once=1, gather_s=0.05)))
    assert sizes[0] == 1  # the first token does not wait
    assert sum(sizes) == 22
    assert len(sizes) <= 2 + (time.monotonic() - started) / 0.05


def test_the_last_batch_does_not_wait_for_the_window():
    stream = ChunkStream(Bursts(1, pause_s=0.05), [REQUEST], at_once=1, gather_s=60)
    started = time.monotonic()
    assert asyncio.run(batches(stream)) == [1, 2]
    assert time.monotonic() - started < 5


def test_an_error_comes_after_the_chunks_before_it():
    class Failing(Bursts):
        async def generate(self, request: GenerateRequest) -> AsyncGenerator[Chunk, None]:
            yield Chunk(text="a")
            raise ValueError("b")

    async def main() -> None:
        async with ChunkStream(Failing(), [REQUEST], at_once=1) as stream:
            assert len(await stream.take()) == 1
            assert not stream.ended
            with pytest.raises(ValueError, match="b"):
                await stream.take()

    asyncio.run(main())


async def sent_by(engine: FakeEngine, body: dict[str, Any], **settings: Any) -> list[dict]:
    """The ASGI messages with which the app answers `body`."""
    face = ReplicaFace(FaceSettings(model_id="m", **settings), engine, "fake", keys=ApiKeys())
    face.ready()
    sent: list[dict] = []
    requests = [{"type": "http.request", "body": json.dumps(body).encode()}]

    async def receive() -> dict:
        if requests:
            return requests.pop()
        return await asyncio.Event().wait()

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/completions",
        "root_path": "",
        "headers": [],
        "query_string": b"",
        "client": None,
    }
    await face.asgi_app()(scope, receive, send)
    return sent


STREAM = {"model": "m", "prompt": "p", "stream": True}


def test_a_burst_is_one_write():
    start, first, burst = asyncio.run(sent_by(Bursts(5), STREAM))
    headers = dict(start["headers"])
    assert headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert headers[b"cache-control"] == b"no-cache"
    assert headers[b"x-accel-buffering"] == b"no"
    assert first["body"].count(b"data: ") == 1
    assert first["more_body"]
    assert burst["body"].count(b"data: ") == 7  # five tokens, the end, and the end mark
    assert not burst["more_body"]


def test_coalescing_is_for_streams_only():
    engine = Bursts(*[1] * 5, pause_s=0.001)
    started = time.monotonic()
    asyncio.run(sent_by(engine, {**STREAM, "stream": False}, coalesce_ms=5000))
    assert time.monotonic() - started < 2
