"""The decoder: answers that depend on nothing but the row, in each way that models are decoded."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import psutil
import pytest
import torch

from serving.engines.decoder_exam import distance
from serving.engines.ipex_llm_decoder import LowBitDecoder, open_decoder
from serving.engines.ipex_llm_model import LowBitModel, load, quantise, save
from serving.engines.rows_kv import BLOCK
from serving.engines.transformers_own_cache import OwnCacheDecoder, Reading
from serving.errors import ConfigError
from serving.prefill_pace import MIN_LAST_CHUNK
from tests.ipex_llm.checkpoints import OLD_NAMES, VOCAB, saved, tiny
from tests.ipex_llm.conftest import FOLDERS

LENGTHS = (37, 5, 100, 1, 64, 250, 17, 9)
MAX_MODEL_LEN = 2048
MAX_ERROR = 0.1  # of the logits' spread: what eight bits cost models as small as these

TOGETHER = {
    "llama": {},
    "mistral": {"sliding_window": 4096},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None},
    "qwen2": {},
    "phi": {"num_key_value_heads": 4},
    "persimmon": {},
}
ROW_BY_ROW = {
    "llama": {"rope_scaling": {"type": "dynamic", "factor": 2.0}},
    "mistral": {"sliding_window": 8},
    "gpt_neox": {},
    "gptj": {**OLD_NAMES, "rotary_dim": 4},
    "opt": {"ffn_dim": 128, "word_embed_proj_dim": 64},
    "bloom": {"n_layer": 2, "n_head": 4},
    "falcon": {"alibi": False},
}


def open_demo(converted, data_type: str, num_rows: int = 9) -> LowBitDecoder:
    model = load(converted / FOLDERS[data_type], trust_remote_code=False, num_threads=1)
    decoder = open_decoder(model, num_rows, MAX_MODEL_LEN)
    assert isinstance(decoder, LowBitDecoder)
    return decoder


@pytest.fixture(scope="module", params=FOLDERS)
def decoder(request, converted) -> Iterator[LowBitDecoder]:
    made = open_demo(converted, request.param)
    yield made
    made.close()


def prompt(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(3, 2000, length)


def read(decoder, row: int, tokens: np.ndarray) -> np.ndarray:
    return decoder.prefill(row, tokens, 0, all_logits=False)[0]


def test_a_row_decodes_the_same_alone_and_among_unequal_neighbours(decoder):
    prompts = [prompt(length, seed) for seed, length in enumerate(LENGTHS)]
    tokens = np.array([read(decoder, row, each).argmax() for row, each in enumerate(prompts)])
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
    read(decoder, 1, prompt(BLOCK + 100, seed=1))
    together = decoder.decode(np.array([7, 8]), np.array([20, BLOCK + 100]))
    np.testing.assert_array_equal(together[0], alone[0])


@pytest.mark.parametrize("size", [64, BLOCK])
def test_chunks_give_what_the_whole_prompt_gives(decoder, size):
    tokens = prompt(BLOCK + 27)
    whole = decoder.prefill(0, tokens, 0, all_logits=True).copy()
    chunks, start = [], 0
    while start < len(tokens):
        end = min(start + size, len(tokens))
        end += len(tokens) - end if len(tokens) - end < MIN_LAST_CHUNK else 0
        chunks.append(decoder.prefill(1, tokens[start:end], start, all_logits=True))
        start = end
    np.testing.assert_array_equal(np.concatenate(chunks), whole)


@pytest.mark.parametrize("length", [1, 5, 50])
def test_the_last_logits_are_the_last_of_all(decoder, length):
    tokens = prompt(length)
    every = decoder.prefill(0, tokens, 0, all_logits=True)
    assert every.shape == (length, decoder.vocab_size)
    last = decoder.prefill(1, tokens, 0, all_logits=False)
    assert last.shape == (1, decoder.vocab_size)
    np.testing.assert_array_equal(last, every[-1:])


def test_a_moved_row_keeps_its_answers(decoder):
    tokens = prompt(60)
    read(decoder, 0, tokens)
    read(decoder, 5, tokens)
    stayed = decoder.decode(np.array([7]), np.array([60])).copy()
    read(decoder, 0, prompt(80, seed=1))
    decoder.move_row(5, 0, 60)
    np.testing.assert_array_equal(decoder.decode(np.array([7]), np.array([60])), stayed)


def test_only_used_tokens_cost_memory_and_released_rows_give_it_back(converted):
    decoder = open_demo(converted, "int8", num_rows=64)
    for _ in range(2):
        read(decoder, 0, prompt(BLOCK))  # what torch itself keeps for its work
    process = psutil.Process()
    at_rest = process.memory_info().rss
    row_bytes = BLOCK * decoder.kv_bytes_per_token
    for row in range(1, 9):
        read(decoder, row, prompt(BLOCK))
    used = process.memory_info().rss - at_rest
    for row in range(1, 9):
        decoder.release_row(row)
    kept = process.memory_info().rss - at_rest
    assert used == pytest.approx(8 * row_bytes, rel=0.25)
    assert kept < used / 4
    decoder.close()
    decoder.close()


def test_it_computes_with_as_many_threads_as_it_is_told_on_any_thread(converted):
    decoder = open_demo(converted, "int8", num_rows=2)
    seen = []

    def elsewhere():
        torch.set_num_threads(2)
        read(decoder, 0, prompt(5))
        seen.append(torch.get_num_threads())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [1]


def low_bit(tmp_path, model_type: str, **sizes) -> LowBitModel:
    folder = saved(tmp_path / "checkpoint", model_type, **sizes)
    (tmp_path / "made").mkdir()
    save(quantise(folder, "int8", trust_remote_code=False), tmp_path / "made")
    return load(tmp_path / "made", trust_remote_code=False, num_threads=1)


def check_answers(model: LowBitModel, decoder, original) -> None:
    """Against the original, whose rows never met."""
    text = torch.randint(3, VOCAB, (2, 30), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = original(text).logits.numpy()
    assert distance(model.read(text[0]).numpy(), wanted[0]) < MAX_ERROR
    for row, length in ((0, 20), (1, 12)):
        decoder.prefill(row, text[row, :length].numpy(), 0, all_logits=False)
    for step in range(10):
        fed = np.array([text[0, 20 + step], text[1, 12 + step]])
        logits = decoder.decode(fed, np.array([20, 12]) + step)
        expected = np.stack([wanted[0, 20 + step], wanted[1, 12 + step]])
        assert distance(logits, expected) < MAX_ERROR


@pytest.mark.parametrize("model_type", TOGETHER)
def test_rows_of_these_decode_together(tmp_path, model_type):
    sizes = TOGETHER[model_type]
    model = low_bit(tmp_path, model_type, **sizes)
    decoder = open_decoder(model, 3, 64)
    assert isinstance(decoder, LowBitDecoder)
    check_answers(model, decoder, tiny(model_type, **sizes))


@pytest.mark.parametrize("model_type", ROW_BY_ROW)
def test_rows_of_these_decode_one_after_another(tmp_path, model_type):
    sizes = ROW_BY_ROW[model_type]
    model = low_bit(tmp_path, model_type, **sizes)
    decoder = open_decoder(model, 3, 64)
    assert isinstance(decoder, OwnCacheDecoder)
    assert decoder.reading is Reading.CHUNKS
    check_answers(model, decoder, tiny(model_type, **sizes))


def test_a_head_that_is_the_embedding_too(tmp_path):
    model = low_bit(tmp_path, "llama", tie_word_embeddings=True)
    check_answers(model, open_decoder(model, 3, 64), tiny("llama", tie_word_embeddings=True))


def test_a_model_of_other_layers_is_refused_by_name(tmp_path):
    folder = saved(tmp_path / "checkpoint", "gpt2", **OLD_NAMES)
    with pytest.raises(ConfigError, match="reaches 7% of the weights of a GPT2LMHeadModel"):
        quantise(folder, "int8", trust_remote_code=False)
