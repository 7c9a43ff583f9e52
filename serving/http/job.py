"""One HTTP request's work: waits its turn, runs in the engine, and ends with its client."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from starlette.types import Receive

from serving.engine import Engine
from serving.http.account import Account
from serving.http.admission import AdmissionGate
from serving.http.client_watch import ClientWatch, time_limit
from serving.http.merge import Batch, ChunkStream
from serving.http.metrics import FaceMetrics
from serving.http.settings import FaceSettings
from serving.types import GenerateRequest, Prompt, SamplingParams


@dataclass(frozen=True, slots=True)
class Job:
    """What the engine is to do for one HTTP request; choice i·n + k is prompt i's k-th answer."""

    prompts: tuple[Prompt, ...]
    sampling: SamplingParams
    n: int = 1

    @property
    def num_choices(self) -> int:
        """All answers to all prompts."""
        return len(self.prompts) * self.n


class Run:
    """A job at work."""

    def __init__(self, stream: ChunkStream, account: Account) -> None:
        self._stream = stream
        self._account = account

    @property
    def ended(self) -> bool:
        """Whether everything has been taken."""
        return self._stream.ended

    async def take(self) -> Batch:
        """What the engine has produced since; waits for something; empty at the end."""
        batch = await self._stream.take()
        self._account.saw(batch)
        return batch

    def usage(self) -> dict[str, int]:
        """OpenAI's usage object, so far."""
        return self._account.usage()


class JobRunner:
    """Runs jobs on one engine, as many at a time as it can take."""

    def __init__(self, engine: Engine, settings: FaceSettings, metrics: FaceMetrics) -> None:
        self._engine = engine
        self._settings = settings
        self._metrics = metrics
        self._numbers = itertools.count()
        self.gate = AdmissionGate(settings.max_num_seqs, settings.max_queued_requests)

    @asynccontextmanager
    async def run(
        self, job: Job, request_id: str, receive: Receive, *, streaming: bool
    ) -> AsyncIterator[Run]:
        """The job at work, from its turn to the end of the block.

        The place in the line is free as soon as the engine is done, however slowly the client
        reads. Raises QueueFull, RequestTimeout, ClientGone (`client_watch`), and what the engine
        raises.
        """
        account = Account(request_id, job.num_choices, self._metrics)
        async with (
            time_limit(self._settings.request_timeout_s),
            ClientWatch(receive),
            self.gate.admit(job.num_choices) as place,
        ):
            account.admitted(place.waited_s)
            self.report_load()
            stream = ChunkStream(
                self._engine,
                self._requests(job, request_id),
                at_once=max(1, self._settings.max_num_seqs // job.n),
                gather_s=self._settings.coalesce_ms / 1000 if streaming else 0.0,
                on_end=partial(self.gate.leave, place),
            )
            try:
                async with stream:
                    yield Run(stream, account)
            finally:
                account.close()
                self.report_load()

    def report_load(self) -> None:
        """Bring the gauges up to date; the engine must be loaded."""
        occupancy = self._engine.occupancy()
        self._metrics.busy(self.gate.num_running, self.gate.num_waiting, occupancy)

    def _requests(self, job: Job, request_id: str) -> list[GenerateRequest]:
        # Callers may reuse their id; the engine's must be unique.
        return [
            GenerateRequest(f"{request_id}-{next(self._numbers)}", prompt, job.sampling, job.n)
            for prompt in job.prompts
        ]
