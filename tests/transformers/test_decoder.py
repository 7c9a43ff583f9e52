"""The decoder on the demo model: answers that depend on nothing but the row, memory that is given
back, and lengths that cannot be.

That answers are the same bit for bit is a property of torch's kernels, met on x86 with AVX512.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from serving.engines.rows_kv import BLOCK
from serving.engines.transformers_cache import RowsCache
from serving.engines.transformers_choice import open_decoder
from serving.engines.transformers_decoder import RowsDecoder
from serving.engines.transformers_weights import load_model
from serving.prefill_pace import MIN_LAST_CHUNK
from tests.contract.engine_contract import DEMO_MODEL
from tests.transformers.checkpoints import tiny_causal

LENGTHS = (37, 5, 100, 1, 64, 250, 17, 9)
MAX_MODEL_LEN = 2048
DATA_TYPES = ("int8", "int4", "bfloat16", "float32")


def open_demo(data_type: str, folder: Path = DEMO_MODEL, num_rows: int = 9) -> RowsDecoder:
    torch.set_num_threads(1)
    model = load_model(folder, data_type, trust_remote_code=False)
    decoder = open_decoder(model, num_rows, MAX_MODEL_LEN)
    assert isinstance(decoder, RowsDecoder)
    return decoder


@pytest.fixture(scope="module", params=DATA_TYPES)
def decoder(request) -> Iterator[RowsDecoder]:
    made = open_demo(request.param)
    yield made
    made.close()


def prompt(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(3, 2000, length)


def read(decoder: RowsDecoder, row: int, tokens: np.ndarray) -> np.ndarray:
    return decoder.prefill(row, tokens, 0, all_logits=False)[0]


def test_a_row_decodes_the_same_alone_and_among_unequal_neighbours(decoder):
    prompts = [prompt(length, seed) for seed, length in enumerate(LENGTHS)]
    tokens = np.array([read(decoder, row, p).argmax() for row, p in enumerate(prompts)])
    lengths = np.array(LENGTHS)
    together = []
    for step in range(4):
        logits = decoder.decode(tokens, lengths + step).copy()
        together.append((tokens, logits))
        tokens = logits.argmax(axis=1)
    for row, tokens_of_row in enumerate(prompts):
        read(decoder, 0, tokens_of_row)
        for step, (fed, logits) in enumerate(together):
            alone = decoder.decode(fed[row : row + 1], lengths[row : row + 1] + step)
            np.testing.assert_array_equal(alone[0], logits[row])


def test_a_row_decodes_the_same_beside_one_of_several_blocks(decoder):
    read(decoder, 0, prompt(20))
    alone = decoder.decode(np.array([7]), np.array([20])).copy()
    read(decoder, 0, prompt(20))
    read(decoder, 1, prompt(2 * BLOCK + 100, seed=1))
    together = decoder.decode(np.array([7, 8]), np.array([20, 2 * BLOCK + 100]))
    np.testing.assert_array_equal(together[0], alone[0])


@pytest.mark.parametrize("size", [7, 64, 255])
def test_chunks_give_what_the_whole_prompt_gives(decoder, size):
    """In float32 the last rows of a product take another kernel: equal up to rounding."""
    tokens = prompt(BLOCK + 27)
    whole = decoder.prefill(0, tokens, 0, all_logits=True).copy()
    chunks, start = [], 0
    while start < len(tokens):
        end = min(start + size, len(tokens))
        end += len(tokens) - end if len(tokens) - end < MIN_LAST_CHUNK else 0
        chunks.append(decoder.prefill(1, tokens[start:end], start, all_logits=True))
        start = end
    rounding = 1e-4 if decoder.data_type == torch.float32 else 0
    np.testing.assert_allclose(np.concatenate(chunks), whole, rtol=0, atol=rounding)


def test_the_last_logits_are_the_last_of_all(decoder):
    tokens = prompt(50)
    every = decoder.prefill(0, tokens, 0, all_logits=True)
    assert every.shape == (50, decoder.vocab_size)
    np.testing.assert_array_equal(decoder.prefill(1, tokens, 0, all_logits=False), every[-1:])


def test_decoding_goes_on_where_prefill_stopped(decoder):
    tokens = prompt(40)
    whole = decoder.prefill(0, tokens, 0, all_logits=False)[0]
    read(decoder, 0, tokens[:-1])
    step = decoder.decode(tokens[-1:], np.array([39]))[0]
    assert np.abs(step - whole).max() < 0.1 * whole.std()


def test_a_moved_row_keeps_its_answers(decoder):
    tokens = prompt(60)
    read(decoder, 0, tokens)
    read(decoder, 5, tokens)
    stayed = decoder.decode(np.array([7]), np.array([60])).copy()
    read(decoder, 0, prompt(80, seed=1))
    decoder.move_row(5, 0, 60)
    np.testing.assert_array_equal(decoder.decode(np.array([7]), np.array([60])), stayed)


def test_a_released_row_can_be_used_again(decoder):
    before = read(decoder, 3, prompt(90)).copy()
    decoder.release_row(3)
    np.testing.assert_array_equal(read(decoder, 3, prompt(90)), before)


def test_a_prompt_of_two_thousand_tokens(decoder):
    assert np.isfinite(read(decoder, 8, prompt(2000))).all()
    longer = decoder.prefill(8, prompt(48, seed=2), 2000, all_logits=True)
    assert longer.shape == (48, decoder.vocab_size)


def test_closing_twice_is_safe():
    decoder = open_demo("bfloat16", num_rows=2)
    logits = read(decoder, 0, prompt(5))
    decoder.close()
    decoder.close()
    assert np.isfinite(logits).all()


def test_kv_bytes_per_token_counts_keys_and_values_of_all_layers():
    model = tiny_causal("qwen3", head_dim=8)  # in float32
    assert open_decoder(model, 2, 64).kv_bytes_per_token == 4 * 2 * 2 * 2 * 8


def test_only_used_tokens_cost_memory_and_released_rows_give_it_back():
    decoder = open_demo("float32", num_rows=64)
    for _ in range(3):
        read(decoder, 0, prompt(512))  # what torch itself keeps for its work
    process = psutil.Process()
    at_rest = process.memory_info().rss
    row_bytes = 512 * decoder.kv_bytes_per_token
    for row in range(1, 17):
        read(decoder, row, prompt(512))
    used = process.memory_info().rss - at_rest
    for row in range(1, 17):
        decoder.release_row(row)
    kept = process.memory_info().rss - at_rest
    assert used == pytest.approx(16 * row_bytes, rel=0.25)
    assert kept < used / 4
    decoder.close()


def test_the_cache_tells_models_one_length_for_all_layers():
    cache = RowsCache(tiny_causal("gemma3_text", num_hidden_layers=7).config, 2, 64)
    assert {layer.get_mask_sizes(1) for layer in cache.layers} == {(0, 0)}
    assert cache.is_sliding == [True] * 5 + [False, True]
