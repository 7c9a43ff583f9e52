"""A closed loop of clients: each sends its next request when the last one is answered.

Two ways to answer: the engine in this process, or an HTTP server through sockets and as little
parsing as possible, since the client shares the machine with what it measures. Tokens are counted
by the server's own usage, not by events.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from bench.results import RequestTiming, Run
from bench.workload import Job
from serving.engine import Engine
from serving.types import GenerateRequest, SamplingParams

Answer = Callable[[Job], Awaitable[RequestTiming]]


async def closed_loop(answer: Answer, jobs: Sequence[Job], concurrency: int) -> Run:
    """All jobs, `concurrency` at a time; the clients start a little apart, as real ones do."""
    queue = list(reversed(jobs))
    timings: list[RequestTiming] = []

    async def client(delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        while queue:
            timings.append(await answer(queue.pop()))

    began_s = time.perf_counter()
    await asyncio.gather(*(client(0.002 * number) for number in range(concurrency)))
    return Run(tuple(timings), time.perf_counter() - began_s)


def engine_answers(engine: Engine) -> Answer:
    """Ask the engine itself, in this process."""

    async def answer(job: Job) -> RequestTiming:
        params = SamplingParams(max_tokens=job.max_tokens, temperature=0.0, ignore_eos=True)
        request = GenerateRequest("bench", job.prompt, params)
        began_s, first_s, num_tokens = time.perf_counter(), None, 0
        async with aclosing(engine.generate(request)) as chunks:
            async for chunk in chunks:
                first_s = first_s or time.perf_counter()
                num_tokens += chunk.num_tokens
        return _timing(began_s, first_s, num_tokens)

    return answer


def http_answers(host: str, port: int, path: str, model: str) -> Answer:
    """Ask a server's completions endpoint for a stream, a new connection for each request."""

    async def answer(job: Job) -> RequestTiming:
        body = json.dumps(
            {
                "model": model,
                "prompt": list(job.prompt),
                "max_tokens": job.max_tokens,
                "temperature": 0,
                "ignore_eos": True,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
        ).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode()
        began_s = time.perf_counter()
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(head + body)
        first_s, end = None, b""
        while piece := await reader.read(1 << 16):
            if first_s is None and b"data: " in piece:
                first_s = time.perf_counter()
            end = (end + piece)[-4096:]
        writer.close()
        num_tokens = _completion_tokens(end)
        return _timing(began_s, first_s, num_tokens)

    return answer


def _timing(began_s: float, first_s: float | None, num_tokens: int) -> RequestTiming:
    if first_s is None:
        raise RuntimeError("the answer held no token")
    return RequestTiming(first_s - began_s, time.perf_counter() - began_s, num_tokens)


def _completion_tokens(end: bytes) -> int:
    """Read from the usage in the last event of a stream; RuntimeError when it is not there."""
    _, found, rest = end.rpartition(b'"completion_tokens":')
    if not found:
        raise RuntimeError(f"the stream ended without usage: {end[-300:]!r}")
    return int(rest.split(b",")[0].split(b"}")[0])
