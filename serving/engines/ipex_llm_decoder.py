"""`StepModel` over IPEX-LLM's models: all running rows decoded in one call, where models allow it.

The library's attention is torch's, its masks and caches are those of transformers 4.37, which
passes a mask of four dimensions through: so each row's own is made here. Its products take rows one
by one and attention gets whole blocks of keys, so a row's answer is the same, bit for bit, whatever
its neighbours are and however its prompt was cut.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from ipex_llm.transformers.kv import DynamicNormalCache

from serving.engines.decoder_exam import Exam, choose_decoder
from serving.engines.rows_kv import (
    NO_ROWS,
    NotBatchable,
    RowsArray,
    Span,
    prompt_span,
    step_span,
    whole_blocks,
)
from serving.engines.transformers_model import CausalModel
from serving.engines.transformers_own_cache import OwnCacheDecoder, Reading
from serving.step_model import Logits, StepModel, TokenIds


def open_decoder(model: CausalModel, num_rows: int, max_model_len: int) -> StepModel:
    """The fastest decoder that answers as the model itself does; see Exam for what it raises."""
    exam = Exam(model, max_model_len)
    ways: dict[str, Callable[[], StepModel]] = {
        "all rows together": lambda: LowBitDecoder(model, num_rows, max_model_len)
    }
    for reading in Reading:
        ways[f"row by row, {reading.value}"] = partial(
            OwnCacheDecoder, model, num_rows, max_model_len, reading
        )
    return choose_decoder(exam, ways)


class LowBitDecoder:
    """A model whose rows decode together."""

    def __init__(self, model: CausalModel, num_rows: int, max_model_len: int) -> None:
        """Raises NotBatchable, or whatever the model raises, where the cache does not suit it."""
        _check_batchable(model.config, max_model_len)
        self.num_rows = num_rows
        self.max_model_len = max_model_len
        self._model: CausalModel | None = model
        self._cache: RowsCache | None = RowsCache(num_rows, max_model_len)
        self.vocab_size = self.prefill(0, np.zeros(1, np.int64), 0, all_logits=False).shape[1]
        self.kv_bytes_per_token = self._cache.bytes_per_token
        self.release_row(0)

    def prefill(self, row: int, token_ids: TokenIds, start: int, *, all_logits: bool) -> Logits:
        """See StepModel."""
        positions = torch.arange(start, start + len(token_ids))[None]
        span = prompt_span(row, start, len(token_ids))
        ids = torch.from_numpy(token_ids)[None]
        logits: Logits = self._call(span, ids, positions, all_logits=all_logits)[0]
        return logits

    def decode(self, token_ids: TokenIds, lengths: TokenIds) -> Logits:
        """See StepModel."""
        starts = torch.from_numpy(lengths)
        ids = torch.from_numpy(token_ids)[:, None]
        logits: Logits = self._call(step_span(starts), ids, starts[:, None], all_logits=True)[:, 0]
        return logits

    def _call(self, span: Span, input_ids: Any, positions: Any, *, all_logits: bool) -> Logits:
        """Logits of input_ids at positions [B, T]: [B, T, vocab], or [B, 1, vocab] of the last."""
        assert self._model is not None and self._cache is not None, "the decoder is closed"
        assert span.total <= self.max_model_len, "the caller let a sequence outgrow its row"
        self._cache.span = span
        seen = torch.arange(span.num_keys) <= positions[:, None, :, None]
        with torch.inference_mode():
            output = self._model(
                input_ids,
                all_logits=all_logits,
                past_key_values=self._cache,
                use_cache=True,
                position_ids=positions,
                attention_mask=seen.float(),  # [B, 1, T, keys]
            )
            logits: Logits = output.logits.float().numpy()
        return logits

    def move_row(self, source: int, target: int, length: int) -> None:
        assert self._cache is not None
        with torch.inference_mode():
            for array in self._cache.arrays:
                array.move_row(source, target, length)

    def release_row(self, row: int) -> None:
        assert self._cache is not None
        for array in self._cache.arrays:
            array.release_row(row)

    def close(self) -> None:
        """Frees weights and KV memory; logits given out before stay valid."""
        self._model = self._cache = None


def _check_batchable(config: Any, max_model_len: int) -> None:
    """Raises NotBatchable for what a short text would not show."""
    window = getattr(config, "sliding_window", None)
    if window and getattr(config, "use_sliding_window", True) and window < max_model_len:
        raise NotBatchable(f"it sees {window} tokens at a time, fewer than max_model_len")
    scaling = getattr(config, "rope_scaling", None) or {}
    if scaling.get("type", "linear") != "linear":
        raise NotBatchable("its positions depend on how long the text is")


class RowsCache(DynamicNormalCache):  # type: ignore[misc]  # no types here
    """Keys and values of all rows; `span` says which of them the next call is about."""

    def __init__(self, num_rows: int, max_len: int) -> None:
        super().__init__()
        self.span = NO_ROWS
        self._num_rows = num_rows
        self._max_len = whole_blocks(max_len)
        self._layers: list[tuple[RowsArray, RowsArray]] = []

    @property
    def arrays(self) -> list[RowsArray]:
        return [array for layer in self._layers for array in layer]

    @property
    def bytes_per_token(self) -> int:
        """Of one row, all layers, keys and values; known once the model has been called."""
        return sum(array.bytes_per_token for array in self.arrays)

    def update(
        self, key_states: Any, value_states: Any, layer_idx: int, cache_kwargs: Any = None
    ) -> tuple[Any, Any]:
        """Write states [B, heads, num_new, head_dim]; all of the rows up to the longest."""
        if layer_idx == len(self._layers):
            self._layers.append((self._array(key_states), self._array(value_states)))
        keys, values = self._layers[layer_idx]
        return keys.write(self.span, key_states), values.write(self.span, value_states)

    def _array(self, states: Any) -> RowsArray:
        return RowsArray(self._num_rows, self._max_len, states)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """How many keys stand before the new ones, as masks count them."""
        return self.span.num_keys - self.span.num_new

    def __len__(self) -> int:
        return len(self._layers)
