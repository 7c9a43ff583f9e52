"""A cache of transformers whose rows have different lengths, and the attention that goes with it.

Row r's token p is at [r, :, p] of every layer's keys and values, whatever its neighbours hold. A
call names the rows it is about and how long each is; the model writes its new tokens where each
row ends, and sees every row up to the longest. What lies beyond a row's own end is masked.

transformers builds its masks from functions of two positions (causal, within a window, within a
chunk), and takes one position for all rows. Under the attention registered here as ROWS_ATTENTION
each row's own position counts, so windows are right for rows of any length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import (
    Cache,
    CacheLayerMixin,
    DummyLayer,
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
)
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from serving.kv_pages import KvPages, kv_pages

ROWS_ATTENTION = "anynode_rows"
# torch's attention on CPUs takes so many keys at a time, and sums a last block that is shorter in
# another order. With whole blocks a row's sums do not depend on how long the longest row is.
BLOCK = 512
# Tensors that attention layers may hand on and that change nothing here.
HARMLESS = frozenset({"position_ids"})


class NotBatchable(Exception):
    """The model keeps something that rows of different length cannot share; says what."""


@dataclass(frozen=True, slots=True)
class Span:
    """The rows of one call: each holds `starts` tokens, and gets `num_new` more."""

    first_row: int
    starts: Any  # int64 [B]
    num_new: int
    total: int  # tokens of the longest row after the call

    @property
    def num_keys(self) -> int:
        """What attention sees: the longest row, up to the end of a block."""
        return -(-self.total // BLOCK) * BLOCK

    @property
    def rows(self) -> slice:
        return slice(self.first_row, self.first_row + len(self.starts))


class RowsCache(Cache):  # type: ignore[misc]  # no types here
    """Keys and values of `num_rows` rows; `span` says which of them the next call is about."""

    def __init__(self, config: Any, num_rows: int, max_len: int) -> None:
        """Raises NotBatchable for a model that keeps more than keys and values."""
        self.span = Span(0, torch.zeros(1, dtype=torch.int64), 0, 0)
        self.num_rows = num_rows
        self.max_len = -(-max_len // BLOCK) * BLOCK
        super().__init__(layers=[self._layer(each) for each in DynamicCache(config=config).layers])

    def _layer(self, own: Any) -> Any:
        """What stands here for a layer of the model's own cache."""
        if type(own) is DummyLayer:
            return own
        if type(own) not in (DynamicLayer, DynamicSlidingWindowLayer):
            raise NotBatchable(f"its cache has layers of the kind {type(own).__name__}")
        return RowsLayer(self, own.is_sliding)

    @property
    def rows_layers(self) -> list[RowsLayer]:
        return [layer for layer in self.layers if isinstance(layer, RowsLayer)]

    @property
    def bytes_per_token(self) -> int:
        """Of one row, all layers, keys and values; known once the model has been called."""
        return sum(layer.bytes_per_token for layer in self.rows_layers)

    def move_row(self, source: int, target: int, length: int) -> None:
        for layer in self.rows_layers:
            for array in (layer.keys, layer.values):
                array[target, :, :length] = array[source, :, :length]

    def release_row(self, row: int) -> None:
        for layer in self.rows_layers:
            for pages in layer.pages:
                pages.release_row(row)


class RowsLayer(CacheLayerMixin):  # type: ignore[misc]  # no types here
    """One layer of a RowsCache; its memory is made at the first call, when its sizes are known."""

    def __init__(self, cache: RowsCache, is_sliding: bool) -> None:
        super().__init__()
        self.is_sliding = is_sliding
        self.pages: tuple[KvPages, ...] = ()
        self._cache = cache

    def lazy_initialization(self, key_states: Any, value_states: Any) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        self.pages = tuple(self._pages(states) for states in (key_states, value_states))
        self.keys, self.values = (
            torch.frombuffer(pages.buffer, dtype=states.dtype).view(pages.shape)
            for pages, states in zip(self.pages, (key_states, value_states), strict=True)
        )
        self.is_initialized = True

    def _pages(self, states: Any) -> KvPages:
        _, num_heads, _, head_dim = states.shape
        num_rows, max_len = self._cache.num_rows, self._cache.max_len
        return kv_pages(num_rows, num_heads, max_len, head_dim, states.element_size())

    @property
    def bytes_per_token(self) -> int:
        return sum(
            array.shape[1] * array.shape[3] * array.element_size()
            for array in (self.keys, self.values)
            if array is not None
        )

    def update(
        self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Write states [B, heads, num_new, head_dim]; all of the rows up to the longest."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        return self._write(self.keys, key_states), self._write(self.values, value_states)

    def _write(self, array: Any, states: Any) -> Any:
        span = self._cache.span
        held = array[span.rows]
        if span.num_new == 1:
            held[torch.arange(len(span.starts)), :, span.starts] = states[:, :, 0]
        else:
            held[:, :, span.total - span.num_new : span.total] = states  # a prompt: one row
        return held[:, :, : span.num_keys]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._cache.span.num_keys, 0

    def get_seq_length(self) -> int:
        span = self._cache.span
        return span.total - span.num_new

    def get_max_length(self) -> int:
        return self._cache.max_len


def rows_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    *args: Any,
    mask_function: Any,
    attention_mask: Any = None,
    use_vmap: bool = False,
    **kwargs: Any,
) -> Any:
    """A boolean mask [B, 1, q_length, kv_length] for rows ending where attention_mask [B, K] does.

    Without an attention_mask all rows are equally long, and the mask is the one of sdpa.
    """
    if attention_mask is None:
        return sdpa_mask(
            batch_size,
            q_length,
            kv_length,
            *args,
            mask_function=mask_function,
            use_vmap=use_vmap,
            **kwargs,
        )
    if use_vmap:
        raise NotBatchable("its attention mask is of a kind of its own")
    ends = attention_mask.sum(dim=1)[:, None, None, None]
    queries = ends - q_length + torch.arange(q_length)[None, None, :, None]
    rows = torch.arange(batch_size)[:, None, None, None]
    keys = torch.arange(kv_length)[None, None, None, :]
    mask = mask_function(rows, torch.zeros((), dtype=torch.int64), queries, keys)
    return mask.expand(batch_size, 1, q_length, kv_length)


def rows_attention(  # noqa: PLR0917  (transformers gives these by position)
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    scaling: float | None = None,
    softcap: float | None = None,
    s_aux: Any = None,
    **kwargs: Any,
) -> tuple[Any, None]:
    """The attention of sdpa, and by hand where scores are capped or a sink takes a part of them."""
    strange = [name for name in kwargs if name not in HARMLESS and torch.is_tensor(kwargs[name])]
    if strange:
        raise NotBatchable(f"its attention takes {', '.join(strange)}")
    if softcap is None and s_aux is None:
        return sdpa_attention_forward(  # type: ignore[no-any-return]  # no types here
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
    groups = query.shape[1] // key.shape[1]
    scores = query @ repeat_kv(key, groups).transpose(2, 3)
    scores = scores * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    shown = causal(*scores.shape[-2:]) if attention_mask is None else attention_mask
    scores = scores.masked_fill(~shown, torch.finfo(scores.dtype).min)
    if s_aux is not None:
        sinks = s_aux.reshape(1, -1, 1, 1).expand(*scores.shape[:-1], 1)
        scores = torch.cat([scores, sinks.to(scores.dtype)], dim=-1)
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32)[..., : key.shape[2]]
    mixed = weights.to(value.dtype) @ repeat_kv(value, groups)
    return mixed.transpose(1, 2).contiguous(), None


def causal(num_queries: int, num_keys: int) -> Any:
    """What sdpa means by no mask: all keys up to each query's own, which is among the last."""
    return torch.ones(num_queries, num_keys, dtype=torch.bool).tril(num_keys - num_queries)


AttentionInterface.register(ROWS_ATTENTION, rows_attention)
AttentionMaskInterface.register(ROWS_ATTENTION, rows_mask)
