"""What engines that batch on a thread of their own share: their life, and their streams."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from typing import Any

from serving.batcher import Batcher
from serving.engine import CAPABILITIES, not_installed
from serving.errors import EngineDead
from serving.memory import return_freed
from serving.step_thread import StepThread
from serving.tokenizer import CheckpointTokenizer, Tokenizer
from serving.types import Chunk, EngineSettings, GenerateRequest, Occupancy


class BatchedEngine(ABC):
    """An engine that says how to open its batcher, and how to close what that opened."""

    capabilities = CAPABILITIES

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.max_model_len = 0
        self._steps: StepThread[Any] | None = None

    @abstractmethod
    def open_batcher(self) -> Batcher[Any]:
        """Load the weights and set `max_model_len`; blocks."""

    @abstractmethod
    def close(self) -> None:
        """Free what `open_batcher` took, if half-way only; blocks, safe to call twice."""

    async def load(self) -> None:
        try:
            batcher = await asyncio.to_thread(self.open_batcher)
        except BaseException as error:  # whatever it is, nothing half-open stays
            await asyncio.to_thread(self.close)
            if isinstance(error, ModuleNotFoundError):  # a library is imported when it is needed
                raise not_installed(type(self).__name__, error) from error
            raise
        self._steps = StepThread(batcher)

    def open_tokenizer(self, vocab_size: int) -> Tokenizer:
        """The checkpoint's; without a chat template the engine takes no messages."""
        tokenizer = CheckpointTokenizer(
            self.settings.model_source,
            vocab_size,
            trust_remote_code=self.settings.trust_remote_code,
        )
        if not tokenizer.has_chat_template:
            self.capabilities = self.capabilities - {"chat"}
        return tokenizer

    def generate(self, request: GenerateRequest) -> AsyncGenerator[Chunk, None]:
        if self._steps is None:
            raise EngineDead("the engine is not loaded")
        return self._steps.generate(request)

    def occupancy(self) -> Occupancy:
        return Occupancy() if self._steps is None else self._steps.occupancy()

    async def check_health(self) -> None:
        if self._steps is None:
            raise EngineDead("the engine is not loaded")
        self._steps.check()

    async def unload(self) -> None:
        if self._steps is not None:
            await self._steps.stop()
        self._steps = None
        await asyncio.to_thread(self.close)
        await asyncio.to_thread(return_freed)
