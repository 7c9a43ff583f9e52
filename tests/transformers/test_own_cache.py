"""Rows with caches of their own: shared until they go on, measured, and given back."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from serving.engines.transformers_own_cache import NoCache, OwnCacheDecoder, Reading, num_bytes
from tests.transformers.checkpoints import ROW_BY_ROW, tiny_causal

MAX_LEN = 64
NUM_TOKENS = 20
TOKENS = np.arange(5, 5 + NUM_TOKENS)


@pytest.fixture(params=["gpt_neo", "mamba2", "openai-gpt"])
def decoder(request):
    reading, sizes = ROW_BY_ROW[request.param]
    made = OwnCacheDecoder(tiny_causal(request.param, **sizes), 4, MAX_LEN, Reading[reading])
    yield made
    made.close()


def decode(decoder, row_tokens, length=NUM_TOKENS):
    tokens = np.array(row_tokens)
    return decoder.decode(tokens, np.full(len(tokens), length)).copy()


def test_copies_of_a_row_go_on_by_themselves(decoder):
    decoder.prefill(0, TOKENS, 0, all_logits=False)
    decoder.move_row(0, 1, NUM_TOKENS)
    decoder.move_row(0, 2, NUM_TOKENS)
    decode(decoder, [30, 31, 32])
    together = decode(decoder, [40, 40, 40], NUM_TOKENS + 1)
    for row, first in enumerate([30, 31, 32]):
        decoder.prefill(0, TOKENS, 0, all_logits=False)
        decode(decoder, [first])
        np.testing.assert_array_equal(decode(decoder, [40], NUM_TOKENS + 1)[0], together[row])


def test_a_moved_row_is_not_copied(decoder):
    decoder.prefill(1, TOKENS, 0, all_logits=False)
    held = decoder._rows[1]
    decoder.move_row(1, 0, NUM_TOKENS)
    decoder.release_row(1)
    decode(decoder, [30])
    assert decoder._rows[0] is held


def test_a_released_row_frees_its_cache():
    decoder = OwnCacheDecoder(tiny_causal("llama"), 4, MAX_LEN, Reading.CHUNKS)
    decoder.prefill(0, TOKENS, 0, all_logits=False)
    cache = weakref.ref(decoder._rows[0].cache)
    decoder.release_row(0)
    gc.collect()
    assert cache() is None
    decoder.release_row(0)  # nothing is left there


def test_a_new_prompt_forgets_what_was_in_its_row(decoder):
    fresh = decoder.prefill(0, TOKENS, 0, all_logits=True).copy()
    decoder.prefill(1, TOKENS[::-1].copy(), 0, all_logits=False)
    np.testing.assert_array_equal(decoder.prefill(1, TOKENS, 0, all_logits=True), fresh)
    np.testing.assert_array_equal(decoder.prefill(2, TOKENS, 0, all_logits=False), fresh[-1:])


def test_what_a_token_costs_is_measured():
    llama = OwnCacheDecoder(tiny_causal("llama", head_dim=8), 2, MAX_LEN, Reading.CHUNKS)
    assert llama.kv_bytes_per_token == 4 * 2 * 2 * 2 * 8  # keys and values of 2 layers and heads
    reading, sizes = ROW_BY_ROW["mamba2"]
    decoder = OwnCacheDecoder(tiny_causal("mamba2", **sizes), 2, MAX_LEN, Reading[reading])
    decoder.prefill(0, TOKENS, 0, all_logits=False)
    state = num_bytes(decoder._rows[0].cache)
    assert decoder.kv_bytes_per_token == state // MAX_LEN  # as much at any length


def test_a_model_without_a_cache_says_so():
    with pytest.raises(NoCache):
        OwnCacheDecoder(
            tiny_causal("openai-gpt", **ROW_BY_ROW["openai-gpt"][1]), 2, MAX_LEN, Reading.CHUNKS
        )


def test_closing_twice_is_safe(decoder):
    logits = decoder.prefill(0, TOKENS, 0, all_logits=True)
    decoder.close()
    decoder.close()
    assert np.isfinite(logits).all()
