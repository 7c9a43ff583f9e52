"""What engines that can be stepped share: everything but opening the model.

Such an engine says how to open a `StepModel`; scheduling, sampling, streaming, stop strings and
cancellation come from `serving.batching`.
"""

from __future__ import annotations

import logging
from abc import abstractmethod

from serving.batched_engine import BatchedEngine
from serving.batching import ContinuousBatcher
from serving.kv_budget import kv_budget
from serving.memory import available_bytes
from serving.speculation import Speculation, verifies_exactly
from serving.step_model import DraftVerifier, StepModel
from serving.types import EngineSettings

logger = logging.getLogger(__name__)


class SteppedEngine(BatchedEngine):
    """An engine whose model runs in `ContinuousBatcher`."""

    # Whether pieces of a prompt give bit for bit what the whole prompt gives, so that beginnings
    # may be used again and nobody notices.
    prefix_caching = False
    # Tokens to guess ahead of a sequence that decodes alone, where the model can verify them.
    num_speculative_tokens = 0
    no_drafts = "what this model would verify is not to the bit what it decodes"

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self._model: StepModel | None = None

    @abstractmethod
    def open_model(self) -> StepModel:
        """Load the weights; blocks. The model has one row more than max_num_seqs, to swap with."""

    def open_batcher(self) -> ContinuousBatcher:
        model = self._model = self.open_model()
        self.max_model_len = model.max_model_len
        return ContinuousBatcher(
            model,
            self.open_tokenizer(model.vocab_size),
            self.kv_cache_bytes(model),
            prefix_caching=self.prefix_caching,
            speculation=self._speculation(model),
        )

    def _speculation(self, model: StepModel) -> Speculation | None:
        if not self.num_speculative_tokens:
            return None
        if isinstance(model, DraftVerifier) and verifies_exactly(model):
            return Speculation(model, self.num_speculative_tokens)
        logger.warning("speculation is off for %s: %s", self.settings.model_source, self.no_drafts)
        return None

    def close(self) -> None:
        if self._model is not None:
            self._model.close()
        self._model = None

    def kv_cache_bytes(self, model: StepModel) -> int:
        """The budget asked for, else all rows at full length as far as memory allows."""
        useful = self.settings.max_num_seqs * model.max_model_len * model.kv_bytes_per_token
        return kv_budget(useful, self.settings.kv_cache_bytes, available_bytes())
