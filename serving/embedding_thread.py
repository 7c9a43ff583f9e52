"""Runs an encoder beside an event loop: one thread embeds batches, the loop only waits.

The queue is shared under a lock, held for as long as it takes to choose a batch. What a batch
brought crosses to the loop in one call, however many requests it belongs to.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.embedder import Vectors
from serving.embedding_queue import BatchLimits, FairQueue, Waiting
from serving.errors import EngineDead, ServingError
from serving.types import Occupancy

logger = logging.getLogger(__name__)

TextIds = Sequence[int]
EmbedBatch = Callable[[list[TextIds]], Vectors]
"""Token ids of texts in, their vectors [texts, H] out; blocks."""


@dataclass(eq=False, slots=True)
class _Job:
    """One request, while some of its texts have no vector."""

    texts: Sequence[TextIds]
    vectors: list[Any]  # [H] for each text
    num_left: int
    done: asyncio.Future[None]
    arrived_s: float
    began_s: float | None = None


Batch = list[tuple[_Job, int]]  # texts as their request and their number there


class EmbeddingThread:
    """Embeds what requests bring, in batches that they share. Created on the loop it serves.

    After `stop` no batch runs any more and every request has ended.
    """

    def __init__(self, embed_batch: EmbedBatch, limits: BatchLimits) -> None:
        self._embed_batch = embed_batch
        self._loop = asyncio.get_running_loop()
        self._wake = threading.Condition()  # guards the two below
        self._queue = FairQueue(limits)
        self._stopping = False
        self._jobs: dict[Waiting, _Job] = {}
        self._num_running = 0
        self._failure: EngineDead | None = None
        self._thread = threading.Thread(target=self._run, name="embeddings", daemon=True)
        self._thread.start()

    async def embed(self, texts: Sequence[TextIds]) -> tuple[Vectors, float]:
        """The vectors [texts, H], and the seconds until the first of these texts was begun.

        Cancelling this cancels the texts that have not begun.
        """
        self.check()
        waiting = Waiting.of([len(text) for text in texts])
        done = self._loop.create_future()
        job = _Job(texts, [None] * len(texts), len(texts), done, time.monotonic())
        with self._wake:
            self._jobs[waiting] = job
            self._queue.add(waiting)
            self._wake.notify()
        try:
            await done
        finally:
            with self._wake:
                self._queue.remove(waiting)
                self._jobs.pop(waiting, None)
        assert job.began_s is not None  # it is done
        return np.stack(job.vectors), job.began_s - job.arrived_s

    def check(self) -> None:
        """Raise EngineDead if no batch will ever run again."""
        if self._failure is not None:
            raise self._failure
        if self._stopping or not self._thread.is_alive():
            raise EngineDead("the engine has been unloaded")

    def occupancy(self) -> Occupancy:
        """Texts in the batch that runs, and texts that wait."""
        with self._wake:
            return Occupancy(self._num_running, self._queue.num_texts)

    async def stop(self) -> None:
        """End after the batch in progress; requests that still wait get EngineDead."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)
        self._end_jobs(EngineDead("the engine was unloaded while this request ran"))

    # -- on the thread

    def _run(self) -> None:
        try:
            while batch := self._next_batch():
                vectors = self._embed_batch([job.texts[number] for job, number in batch])
                self._loop.call_soon_threadsafe(self._deliver, batch, vectors)
        except Exception as error:  # the model itself failed: nothing can be embedded any more
            logger.exception("the model failed in a batch")
            self._failure = EngineDead(f"the model failed: {error}")
            self._loop.call_soon_threadsafe(self._end_jobs, self._failure)

    def _next_batch(self) -> Batch:
        """What to embed next, waiting while there is nothing; empty to end."""
        with self._wake:
            self._num_running = 0
            while not (self._queue or self._stopping):
                self._wake.wait()
            if self._stopping:
                return []
            chosen = self._queue.next_batch()
            self._num_running = len(chosen)
            batch = [(self._jobs[waiting], number) for waiting, number in chosen]
        began_s = time.monotonic()
        for job, _ in batch:
            job.began_s = job.began_s or began_s
        return batch

    # -- on the event loop

    def _deliver(self, batch: Batch, vectors: Vectors) -> None:
        for (job, number), vector in zip(batch, vectors, strict=True):
            job.vectors[number] = vector
            job.num_left -= 1
            if not job.num_left and not job.done.done():
                job.done.set_result(None)

    def _end_jobs(self, error: ServingError) -> None:
        for job in self._jobs.values():
            if not job.done.done():
                job.done.set_exception(error)
