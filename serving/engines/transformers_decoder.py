"""`StepModel` over a model of transformers: all running rows decoded in one call of the model.

Rows of different length share one cache (`transformers_cache`). Models that this cache cannot
serve are decoded by `transformers_own_cache`, row by row.

A row's answer does not depend, bit for bit, on its neighbours nor on how its prompt was cut, as far
as torch's kernels go: attention gets whole blocks of keys (`transformers_cache`), products are
indifferent to their number of rows or made so (`transformers_linear`), and callers leave no last
chunk of fewer than 4 tokens. Where kernels do round by shape (float32 while a prompt is read), the
difference is one of rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from serving.engines.rows_kv import Span, prompt_span, step_span
from serving.engines.transformers_cache import RowsCache
from serving.engines.transformers_model import CausalModel
from serving.step_model import Logits, TokenIds


class RowsDecoder:
    """A model whose rows decode together."""

    def __init__(self, model: CausalModel, num_rows: int, max_model_len: int) -> None:
        """Raises NotBatchable, or whatever the model raises, where the cache does not suit it."""
        self.num_rows = num_rows
        self.max_model_len = max_model_len
        self.data_type = model.data_type
        self._model: CausalModel | None = model
        self._cache: RowsCache | None = RowsCache(model.config, num_rows, max_model_len)
        self.vocab_size = self.prefill(0, np.zeros(1, np.int64), 0, all_logits=False).shape[1]
        self.kv_bytes_per_token = self._cache.bytes_per_token
        self.release_row(0)

    def prefill(self, row: int, token_ids: TokenIds, start: int, *, all_logits: bool) -> Logits:
        """See StepModel."""
        count = len(token_ids)
        span = prompt_span(row, start, count)
        logits: Logits = self._call(
            span,
            torch.from_numpy(token_ids)[None],
            all_logits=all_logits,
            position_ids=torch.arange(start, start + count)[None],
            attention_mask=(torch.arange(span.num_keys) < span.total).long()[None],
        )[0]
        return logits

    def decode(self, token_ids: TokenIds, lengths: TokenIds) -> Logits:
        """See StepModel."""
        starts = torch.from_numpy(lengths)[:, None]
        span = step_span(starts[:, 0])
        return self._call(
            span,
            torch.from_numpy(token_ids)[:, None],
            all_logits=True,
            position_ids=starts,
            attention_mask=(torch.arange(span.num_keys) <= starts).long(),
        )[:, 0]

    def _call(self, span: Span, input_ids: Any, **words: Any) -> Logits:
        """Logits [B, T, vocab]."""
        assert self._model is not None and self._cache is not None, "the decoder is closed"
        assert span.total <= self.max_model_len, "the caller let a sequence outgrow its row"
        self._cache.span = span
        with torch.inference_mode():
            output = self._model(input_ids, past_key_values=self._cache, use_cache=True, **words)
            logits: Logits = output.logits.float().numpy()
        return logits

    def move_row(self, source: int, target: int, length: int) -> None:
        assert self._cache is not None
        with torch.inference_mode():
            self._cache.move_row(source, target, length)

    def release_row(self, row: int) -> None:
        assert self._cache is not None
        self._cache.release_row(row)

    def close(self) -> None:
        """Frees weights and KV memory; logits given out before stay valid."""
        self._model = self._cache = None
