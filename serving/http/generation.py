"""The life of one generating request, from its body to its answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import Receive, Scope, Send

from serving.errors import EngineDead, ServingError
from serving.http.answer import Answer
from serving.http.body import read_object
from serving.http.collect import collect
from serving.http.errors import as_serving_error
from serving.http.job import Job, JobRunner, Run
from serving.http.offer import Offer
from serving.http.readiness import Readiness
from serving.http.responses import json_response
from serving.http.streaming import StreamWriter

Understand = Callable[[dict[str, Any], Offer], tuple[Job, Answer]]


class GenerationEndpoint:
    """One route, as an ASGI application: `understand` gives it its shapes."""

    def __init__(
        self,
        understand: Understand,
        *,
        offer: Callable[[], Offer],
        runner: JobRunner,
        readiness: Readiness,
        max_body_bytes: int,
        on_error: Callable[[ServingError], None],
    ) -> None:
        """`offer` is asked at every request: some abilities are known only after loading.
        `on_error` hears of errors that can only end a stream.
        """
        self._understand = understand
        self._offer = offer
        self._runner = runner
        self._readiness = readiness
        self._max_body_bytes = max_body_bytes
        self._on_error = on_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; what goes wrong before the answer has begun is raised."""
        self._readiness.check()
        given = await read_object(scope, receive, self._max_body_bytes)
        job, answer = self._understand(given, self._offer())
        if answer.streams:
            await self._stream(job, answer, scope, receive, send)
        else:
            await self._whole(job, answer, scope, receive, send)

    @asynccontextmanager
    async def _run(
        self, job: Job, answer: Answer, scope: Scope, receive: Receive
    ) -> AsyncIterator[Run]:
        """The job at work; if the engine dies of it, the replica is dead from now on."""
        try:
            async with self._runner.run(
                job, scope["request_id"], receive, streaming=answer.streams
            ) as run:
                yield run
        except EngineDead as error:
            self._readiness.failed(error)
            raise

    async def _whole(
        self, job: Job, answer: Answer, scope: Scope, receive: Receive, send: Send
    ) -> None:
        async with self._run(job, answer, scope, receive) as run:
            collected = await collect(run, job.num_choices, job.n)
        response = json_response(answer.whole(collected, run.usage()))
        await response(scope, receive, send)

    async def _stream(
        self, job: Job, answer: Answer, scope: Scope, receive: Receive, send: Send
    ) -> None:
        writer = StreamWriter(send, answer)
        try:
            async with self._run(job, answer, scope, receive) as run:
                last = await writer.write_all_but_last(run)
        except Exception as error:  # the edge: whatever it is, the client must hear of it
            if not writer.started:
                raise
            known = as_serving_error(error, scope)
            self._on_error(known)
            await writer.last_words(answer.failure(known))
        else:
            await writer.finish(last)
