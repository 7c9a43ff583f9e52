"""Which way a model of transformers is decoded: chosen by trying, fastest way first.

Hundreds of architectures differ in how they count positions, build masks and keep what they have
read. So the ways are tried on a short text, and the first one whose logits are those of the model
without any cache is taken. What the short text cannot show, windows of attention, is right in
`transformers_cache` by how its masks are made, so only models that use those masks are tried there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from transformers import DynamicCache

from serving.engines.decoder_exam import MAX_ERROR, Exam, choose_decoder
from serving.engines.rows_kv import NotBatchable
from serving.engines.transformers_cache import ROWS_ATTENTION
from serving.engines.transformers_decoder import RowsDecoder
from serving.engines.transformers_model import CausalModel
from serving.engines.transformers_own_cache import OwnCacheDecoder, Reading
from serving.step_model import StepModel

MAX_ERRORS = {torch.float32: 1e-3}
# Attention of their own, known to see all that the mask shows and to need nothing else: masked by
# transformers' common functions, positions given or relative.
OWN_ATTENTION = frozenset(
    {"bloom", "codegen", "falcon", "gptj", "mpt", "xglm", "gpt_neox_japanese"}
)


def open_decoder(model: CausalModel, num_rows: int, max_model_len: int) -> StepModel:
    """The fastest decoder that answers as the model itself does; see Exam for what it raises."""
    exam = Exam(model, max_model_len, MAX_ERRORS.get(model.data_type, MAX_ERROR))
    attention = model.config._attn_implementation
    ways: dict[str, Callable[[], StepModel]] = {
        "all rows together": lambda: _batched(model, num_rows, max_model_len)
    }
    for reading in Reading:
        ways[f"row by row, {reading.value}"] = partial(
            _row_by_row, model, num_rows, max_model_len, reading, attention
        )
    return choose_decoder(exam, ways)


def _batched(model: CausalModel, num_rows: int, max_model_len: int) -> RowsDecoder:
    if model.can_set_attention:
        model.set_attention(ROWS_ATTENTION)
    elif model.config.model_type not in OWN_ATTENTION:
        raise NotBatchable("its attention is its own")
    if model.brings_code and any(DynamicCache(config=model.config).is_sliding):
        raise NotBatchable("it has windows of attention, and code of its own to mask them")
    return RowsDecoder(model, num_rows, max_model_len)


def _row_by_row(
    model: CausalModel, num_rows: int, max_model_len: int, reading: Reading, attention: str
) -> OwnCacheDecoder:
    if model.can_set_attention:
        model.set_attention(attention)
    return OwnCacheDecoder(model, num_rows, max_model_len, reading)
