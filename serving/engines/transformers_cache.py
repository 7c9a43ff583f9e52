"""A cache of transformers over `rows_kv`, and the attention that goes with it.

transformers builds its masks from functions of two positions (causal, within a window, within a
chunk), and takes one position for all rows. Under the attention registered here as ROWS_ATTENTION
each row's own position counts, so windows are right for rows of any length.
"""

from __future__ import annotations

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

from serving.engines.rows_kv import NO_ROWS, NotBatchable, RowsArray, whole_blocks

ROWS_ATTENTION = "anynode_rows"
# Tensors that attention layers may hand on and that change nothing here.
HARMLESS = frozenset({"position_ids"})


class RowsCache(Cache):  # type: ignore[misc]  # no types here
    """Keys and values of `num_rows` rows; `span` says which of them the next call is about."""

    def __init__(self, config: Any, num_rows: int, max_len: int) -> None:
        """Raises NotBatchable for a model that keeps more than keys and values."""
        self.span = NO_ROWS
        self.num_rows = num_rows
        self.max_len = whole_blocks(max_len)
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
            for array in layer.arrays:
                array.move_row(source, target, length)

    def release_row(self, row: int) -> None:
        for layer in self.rows_layers:
            for array in layer.arrays:
                array.release_row(row)


class RowsLayer(CacheLayerMixin):  # type: ignore[misc]  # no types here
    """One layer of a RowsCache; its memory is made at the first call, when its sizes are known."""

    def __init__(self, cache: RowsCache, is_sliding: bool) -> None:
        super().__init__()
        self.is_sliding = is_sliding
        self.arrays: tuple[RowsArray, ...] = ()
        self._cache = cache

    def lazy_initialization(self, key_states: Any, value_states: Any) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        self.arrays = tuple(
            RowsArray(self._cache.num_rows, self._cache.max_len, states)
            for states in (key_states, value_states)
        )
        self.keys, self.values = (each.array for each in self.arrays)
        self.is_initialized = True

    @property
    def bytes_per_token(self) -> int:
        return sum(each.bytes_per_token for each in self.arrays)

    def update(
        self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Write states [B, heads, num_new, head_dim]; all of the rows up to the longest."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        keys, values = self.arrays
        span = self._cache.span
        return keys.write(span, key_states), values.write(span, value_states)

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
