"""serving.gpu.memory_advice: what is advised fits, and says how much was missing."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.gpu.gpu_arithmetic import GIB, OVERHEAD_BYTES
from serving.gpu.memory_advice import (
    advice,
    fall_back,
    kv_cache_advice,
    need,
    recommendation,
    remedies,
)
from serving.gpu.vllm_settings import VLLMSettings
from serving.model_shape import ModelShape

LLAMA_8B = ModelShape(
    weight_bytes=16 * 10**9,
    quantized=False,
    num_layers=32,
    num_attention_heads=32,
    num_kv_heads=8,
    head_dim=128,
    max_model_len=8192,
)


def test_needs_add_up():
    wants = need(LLAMA_8B, VLLMSettings())
    assert wants.weight_bytes == 16 * 10**9
    assert wants.kv_bytes == 8192 * 2 * 32 * 8 * 128 * 2  # exactly 1 GiB
    assert wants.total_bytes == wants.weight_bytes + wants.kv_bytes + OVERHEAD_BYTES


@pytest.mark.parametrize(
    ("settings", "weights", "kv"),
    [
        ({"tensor_parallel_size": 4}, 0.25, 0.25),
        ({"pipeline_parallel_size": 2}, 0.5, 0.5),
        ({"tensor_parallel_size": 16}, 1 / 16, 1 / 8),  # heads beyond the eighth are copies
        ({"load_in_8bit": True}, 0.55, 1),
        ({"data_type": "float"}, 2, 2),  # the cache is kept in the same type
        ({"cache_8bit": True}, 1, 0.5),
        ({"max_model_len": 2048}, 1, 0.25),
    ],
)
def test_settings_change_what_is_needed(settings, weights, kv):
    plain, changed = need(LLAMA_8B, VLLMSettings()), need(LLAMA_8B, VLLMSettings(**settings))
    assert changed.weight_bytes == pytest.approx(plain.weight_bytes * weights, abs=1)
    assert changed.kv_bytes == pytest.approx(plain.kv_bytes * kv, abs=1)


SHAPES = st.builds(
    ModelShape,
    weight_bytes=st.integers(10**6, 400 * 10**9),
    quantized=st.booleans(),
    num_layers=st.integers(1, 100),
    num_attention_heads=st.sampled_from([8, 16, 32, 40, 64]),
    num_kv_heads=st.sampled_from([1, 2, 4, 8]),
    head_dim=st.sampled_from([64, 128]),
    max_model_len=st.integers(512, 200_000),
)
SETTINGS = st.builds(
    VLLMSettings,
    cache_8bit=st.booleans(),
    load_in_8bit=st.booleans(),
    tensor_parallel_size=st.sampled_from([1, 2, 4]),
    max_model_len=st.none() | st.integers(512, 100_000),
)
MEMORY = st.integers(GIB, 200 * GIB)


@given(SHAPES, SETTINGS, MEMORY)
def test_every_remedy_is_enough_and_none_is_offered_in_vain(shape, settings, available):
    found = remedies(shape, settings, available)
    for each in found:
        assert need(shape, each.settings).total_bytes <= available
    if need(shape, settings).total_bytes <= available:
        assert found == []


@given(SHAPES, SETTINGS, MEMORY, st.sampled_from(["offload", "quantize"]))
def test_falling_back_gives_settings_that_fit_or_nothing(shape, settings, available, how):
    instead = fall_back(shape, settings, available, how)
    if instead is not None:
        assert need(shape, instead).total_bytes <= available


def test_the_sentence_says_how_much_and_what_to_set():
    said = advice(LLAMA_8B, VLLMSettings(), 12 * GIB)
    assert "needs about 16.9 GiB (14.9 GiB of weights, 1.0 GiB of KV cache" in said
    assert "has 12.0 GiB; set load_in_8bit: true, or load_in_4bit: true, or gpu_count: 2" in said
    assert "cpu_offload_gb: 5" in said


def test_a_long_context_is_shortened_to_what_fits():
    said = advice(LLAMA_8B, VLLMSettings(), int(16.5 * GIB))
    assert "cache_8bit: true, or max_model_len: 4864" in said


def test_a_context_is_not_cut_below_the_prompts_that_must_fit():
    told = VLLMSettings(max_input_len=6000)
    assert "max_model_len" not in advice(LLAMA_8B, told, int(16.5 * GIB))


def test_where_nothing_helps_it_says_so():
    huge = ModelShape(
        weight_bytes=2000 * 10**9,
        quantized=True,
        num_layers=100,
        num_attention_heads=7,
        num_kv_heads=7,
        head_dim=64,
        max_model_len=512,
    )
    assert "no single setting" in advice(huge, VLLMSettings(), GIB // 2)


def test_what_was_not_enough_is_said_so_with_what_needs_less():
    said = advice(LLAMA_8B, VLLMSettings(), 24 * GIB, room_bytes=15 * GIB)
    assert "has 24.0 GiB, which was not enough; set load_in_8bit: true" in said


def test_the_gpus_of_the_node_are_used_by_replicas_first():
    said = advice(LLAMA_8B, VLLMSettings(), 12 * GIB, num_gpus=8)
    assert "for the 8 GPUs of this node set gpu_count: 2 and num_replicas: 4" in said
    told = VLLMSettings(tensor_parallel_size=4)
    best = recommendation(LLAMA_8B, told, 40 * GIB, 8)
    assert (best.tensor_parallel_size, best.num_replicas) == (1, 8)
    assert recommendation(LLAMA_8B, told, 40 * GIB, 1) is None


@given(SHAPES, SETTINGS, st.integers(1, 100 * GIB))
def test_a_kv_cache_that_is_too_small_is_answered_by_one_that_is_not(shape, settings, given_bytes):
    told = replace(settings, kv_cache_bytes=given_bytes)
    said = kv_cache_advice(shape, told)
    wanted = need(shape, told).kv_bytes
    if given_bytes >= wanted:
        assert said is None
    else:
        assert f"set kv_cache_bytes: {wanted}" in said
        assert kv_cache_advice(shape, replace(told, kv_cache_bytes=wanted)) is None
        shorter = re.search(r"max_model_len: (\d+)", said)
        if shorter:
            less = replace(told, max_model_len=int(shorter[1]))
            assert kv_cache_advice(shape, less) is None
