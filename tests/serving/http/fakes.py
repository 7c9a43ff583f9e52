"""Engines that misbehave, for the tests of everything that can go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import numpy as np

from serving.embedder import Embeddings, EmbedRequest
from serving.engine import CAPABILITIES
from serving.errors import EngineDead
from serving.types import Chunk, GenerateRequest, Occupancy, PromptInfo

FIRST = Chunk(text="a", num_tokens=1, prompt=PromptInfo(1, "p"))
LAST = Chunk(text="z", num_tokens=1, finish_reason="stop")


class FakeEngine:
    """Says "a", then does what `then` does, then says "z"; knows how its requests ended."""

    max_model_len = 100

    def __init__(
        self,
        first: Callable[[GenerateRequest], Any] | None = None,
        then: Callable[[GenerateRequest], Any] | None = None,
        capabilities: frozenset[str] = CAPABILITIES,
    ) -> None:
        self.capabilities = capabilities
        self.first = first
        self.then = then
        self.open = 0
        self.seen: list[GenerateRequest] = []
        self.closed_early = 0
        self.dead = False

    async def load(self) -> None:
        pass

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Chunk, None]:
        self.open += 1
        self.seen.append(request)
        try:
            if self.first:
                await self.first(request)
            yield FIRST
            if self.then:
                await self.then(request)
            yield LAST
        except (asyncio.CancelledError, GeneratorExit):
            self.closed_early += 1
            raise
        finally:
            self.open -= 1

    def occupancy(self) -> Occupancy:
        return Occupancy(self.open, 0, kv_bytes_used=25, kv_bytes_total=100)

    async def check_health(self) -> None:
        if self.dead:
            raise EngineDead("it broke")

    async def unload(self) -> None:
        pass


class FakeEmbedder:
    """A text's vector is its length and its number; does what `first` does before it answers."""

    max_model_len = 50
    dimension = 2

    def __init__(self, first: Callable[[EmbedRequest], Any] | None = None) -> None:
        self.first = first
        self.open = 0
        self.cancelled = 0
        self.seen: list[EmbedRequest] = []
        self.dead = False

    async def load(self) -> None:
        pass

    async def embed(self, request: EmbedRequest) -> Embeddings:
        self.open += 1
        self.seen.append(request)
        try:
            if self.first:
                await self.first(request)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.open -= 1
        vectors = [[len(text), number] for number, text in enumerate(request.inputs)]
        return Embeddings(np.array(vectors, np.float32), tuple(map(len, request.inputs)))

    def occupancy(self) -> Occupancy:
        return Occupancy(self.open)

    async def check_health(self) -> None:
        if self.dead:
            raise EngineDead("it broke")

    async def unload(self) -> None:
        pass


async def forever(request: object) -> None:
    await asyncio.Event().wait()


def failing(error: Exception) -> Callable[[object], Any]:
    async def fail(request: object) -> None:
        raise error

    return fail
