"""Runs a batcher beside an event loop: one thread steps, the loop only waits.

The step thread is the only one to touch the batcher. The loop hands it commands through an inbox;
it hands back everything a step produced in one call of the loop, however many streams that feeds.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Generic

from serving.batcher import Batcher, SequenceT
from serving.errors import EngineDead, ServingError
from serving.types import Chunk, GenerateRequest, Message, Occupancy, Prompt

logger = logging.getLogger(__name__)

# The loop and the step thread take turns at the interpreter; at Python's own 5 ms a turn, a token
# could wait longer for its turn than for its model.
SWITCH_INTERVAL_S = 0.0005

LONG_PROMPT_CHARACTERS = 4096  # longer ones are tokenised off the event loop: over a millisecond


class _Stream:
    """Chunks on their way from the step thread to one waiting generator."""

    def __init__(self, num_choices: int) -> None:
        self.num_open = num_choices
        self.chunks: deque[Chunk] = deque()
        self.error: ServingError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter
        self._waiter = None


class StepThread(Generic[SequenceT]):
    """Runs a batcher on a thread of its own and delivers its chunks on an event loop.

    Created on that loop. After `stop` no step runs any more and every stream has ended.
    """

    def __init__(self, batcher: Batcher[SequenceT]) -> None:
        self._batcher = batcher
        self._loop = asyncio.get_running_loop()
        self._wake = threading.Condition()
        self._inbox: deque[Callable[[], None]] = deque()
        self._stopping = False
        self._failure: EngineDead | None = None
        self._streams: dict[SequenceT, _Stream] = {}  # touched on the loop only
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._thread = threading.Thread(target=self._run, name="model-steps", daemon=True)
        self._thread.start()

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Chunk, None]:
        """The request's chunks; closing this cancels what is left of it."""
        self.check()
        sequences = await self._prepare(request)
        self.check()  # again: preparing a long prompt takes a while
        stream = _Stream(len(sequences))
        self._streams.update((sequence, stream) for sequence in sequences)
        self._tell(*(lambda each=sequence: self._batcher.add(each) for sequence in sequences))
        try:
            while stream.num_open or stream.chunks:
                while stream.chunks:
                    yield stream.chunks.popleft()
                if stream.error is not None:
                    raise stream.error
                if stream.num_open:
                    await stream.wait()
        finally:
            left = [each for each in sequences if self._streams.pop(each, None) is not None]
            self._tell(*(lambda each=sequence: self._batcher.cancel(each) for sequence in left))

    async def _prepare(self, request: GenerateRequest) -> list[SequenceT]:
        if num_characters(request.prompt) > LONG_PROMPT_CHARACTERS:
            return await asyncio.to_thread(self._batcher.prepare, request)
        return self._batcher.prepare(request)

    def check(self) -> None:
        """Raise EngineDead if no step will ever run again."""
        if self._failure is not None:
            raise self._failure
        if self._stopping or not self._thread.is_alive():
            raise EngineDead("the engine has been unloaded")

    def occupancy(self) -> Occupancy:
        return self._batcher.occupancy()

    async def stop(self) -> None:
        """End after the step in progress; streams that still wait get EngineDead."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._batcher.interrupt()
        await asyncio.to_thread(self._thread.join)
        self._end_streams(EngineDead("the engine was unloaded while this request ran"))

    # -- on the step thread

    def _run(self) -> None:
        try:
            while self._receive():
                outputs = self._batcher.step()
                if outputs:
                    self._loop.call_soon_threadsafe(self._deliver, outputs)
        except Exception as error:  # the model itself failed: nothing can be stepped any more
            logger.exception("the model failed in a step")
            self._failure = EngineDead(f"the model failed: {error}")
            self._loop.call_soon_threadsafe(self._end_streams, self._failure)

    def _receive(self) -> bool:
        """Carry out what the loop asked for, waiting while there is nothing to do; False to end."""
        with self._wake:
            while not (self._inbox or self._batcher.busy or self._stopping):
                self._wake.wait()
            commands = list(self._inbox)
            self._inbox.clear()
        for command in commands:
            command()
        return not self._stopping

    # -- on the event loop

    def _tell(self, *commands: Callable[[], None]) -> None:
        if commands:
            with self._wake:
                self._inbox.extend(commands)
                self._wake.notify()
            self._batcher.interrupt()

    def _deliver(self, outputs: list[tuple[SequenceT, Chunk]]) -> None:
        for sequence, chunk in outputs:
            stream = self._streams.get(sequence)
            if stream is None:
                continue  # its reader left while the step ran
            stream.chunks.append(chunk)
            if chunk.finish_reason is not None:
                stream.num_open -= 1
                del self._streams[sequence]
            stream.wake()

    def _end_streams(self, error: ServingError) -> None:
        for stream in set(self._streams.values()):
            stream.error = error
            stream.wake()
        self._streams.clear()


def num_characters(prompt: Prompt) -> int:
    """Roughly how much text a prompt is; token ids count as one each."""
    if isinstance(prompt, str):
        return len(prompt)
    return sum(len(part.content) if isinstance(part, Message) else 1 for part in prompt)
