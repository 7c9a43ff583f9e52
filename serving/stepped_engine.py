"""What engines that can be stepped share: everything but opening the model.

Such an engine says how to open a `StepModel`; scheduling, sampling, streaming, stop strings and
cancellation come from `serving.batching`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator

from serving.batching import ContinuousBatcher
from serving.engine import CAPABILITIES
from serving.errors import ConfigError, EngineDead
from serving.memory import available_bytes
from serving.step_model import StepModel
from serving.step_thread import StepThread
from serving.tokenizer import CheckpointTokenizer
from serving.types import Chunk, EngineSettings, GenerateRequest, Occupancy

KV_SHARE_OF_FREE_MEMORY = 0.5  # of what is free once the weights are loaded


class SteppedEngine(ABC):
    """An engine whose model runs in `ContinuousBatcher` on a thread of its own."""

    capabilities = CAPABILITIES

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.max_model_len = 0
        self._model: StepModel | None = None
        self._steps: StepThread | None = None

    @abstractmethod
    def open_model(self) -> StepModel:
        """Load the weights; blocks. The model has one row more than max_num_seqs, to swap with."""

    async def load(self) -> None:
        batcher = await asyncio.to_thread(self._open)
        self._steps = StepThread(batcher)

    def _open(self) -> ContinuousBatcher:
        model = self._model = self.open_model()
        self.max_model_len = model.max_model_len
        tokenizer = CheckpointTokenizer(
            self.settings.model_source,
            model.vocab_size,
            trust_remote_code=self.settings.trust_remote_code,
        )
        if not tokenizer.has_chat_template:
            self.capabilities = self.capabilities - {"chat"}
        return ContinuousBatcher(model, tokenizer, self._kv_cache_bytes(model))

    def _kv_cache_bytes(self, model: StepModel) -> int:
        """The budget asked for, else all rows at full length as far as memory allows."""
        wanted = self.settings.max_num_seqs * model.max_model_len * model.kv_bytes_per_token
        free = available_bytes()
        if self.settings.kv_cache_bytes is None:
            return min(wanted, int(free * KV_SHARE_OF_FREE_MEMORY))
        if self.settings.kv_cache_bytes > free:
            raise ConfigError(
                f"kv_cache_bytes: {self.settings.kv_cache_bytes} bytes are asked for, but only "
                f"{free} are free here; lower it, or leave it out to take what is sensible",
                param="kv_cache_bytes",
            )
        return self.settings.kv_cache_bytes

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
        if self._model is not None:
            await asyncio.to_thread(self._model.close)
        self._steps = self._model = None
