"""serving.gpu.vllm_settings: our words for vLLM's, and contradictions in one sentence each."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import ConfigError
from serving.gpu.vllm_settings import (
    DATA_TYPES,
    OUR_WORDS,
    VLLMSettings,
    rope_overrides,
    vllm_arguments,
)

LLAMA = {
    "hidden_size": 512,
    "num_attention_heads": 8,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "max_position_embeddings": 2048,
}


def arguments(**settings):
    told = VLLMSettings(**settings)
    return vllm_arguments(told, "m", ("llama",), model_config=LLAMA)


def test_what_is_not_said_is_left_to_vllm():
    assert arguments() == {
        "model": "m",
        "served_model_name": ["llama"],
        "dtype": "auto",
        "tensor_parallel_size": 1,
        "pipeline_parallel_size": 1,
        "max_num_seqs": 256,
    }


@pytest.mark.parametrize(("ours", "theirs"), DATA_TYPES.items())
def test_every_data_type_has_vllms_name(ours, theirs):
    assert arguments(data_type=ours)["dtype"] == theirs


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"load_in_8bit": True}, {"quantization": "fp8"}),
        ({"load_in_4bit": True}, {"quantization": "mxfp4"}),
        ({"cache_8bit": True}, {"kv_cache_dtype": "fp8"}),
        ({"cpu_offload_gb": 4}, {"cpu_offload_gb": 4}),
        ({"kv_cache_bytes": 2**30}, {"kv_cache_memory_bytes": 2**30}),
        ({"gpu_memory_utilization": 0.5}, {"gpu_memory_utilization": 0.5}),
        ({"trust_remote_code": True}, {"trust_remote_code": True}),
        ({"engine_kwargs": {"seed": 7}}, {"seed": 7}),
        (
            {"lora_adapters": {"a": "/a", "b": "/b"}},
            {"enable_lora": True, "lora_modules": ["a=/a", "b=/b"], "max_loras": 2},
        ),
    ],
)
def test_each_setting_becomes_vllms_argument(settings, expected):
    assert arguments(**settings).items() >= expected.items()


def test_what_only_the_replica_knows_goes_along():
    told = VLLMSettings(lora_adapters={"a": "/a"}, tensor_parallel_size=2)
    made = vllm_arguments(told, "m", ("llama",), max_lora_rank=32, executor="mp")
    assert made["max_lora_rank"] == 32
    assert made["distributed_executor_backend"] == "mp"


@pytest.mark.parametrize(("rank", "room"), [(1, 8), (8, 8), (9, 16), (257, 320), (512, 512)])
def test_an_adapters_rank_is_rounded_up_to_one_of_vllms(rank, room):
    told = VLLMSettings(lora_adapters={"a": "/a"})
    assert vllm_arguments(told, "m", ("llama",), max_lora_rank=rank)["max_lora_rank"] == room


def test_a_rank_that_vllm_has_no_room_for_is_refused():
    told = VLLMSettings(lora_adapters={"a": "/a"})
    with pytest.raises(ConfigError, match="lora_adapters: an adapter has rank 513"):
        vllm_arguments(told, "m", ("llama",), max_lora_rank=513)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"data_type": "bflaot16"}, "did you mean 'bfloat16'"),
        ({"data_type": "int8"}, "load_in_8bit for 8-bit weights"),
        ({"tensor_parallel_size": 0}, "gpu_count: 0 is below 1"),
        ({"max_num_seqs": 0}, "batch_size: 0 is below 1"),
        ({"gpu_memory_utilization": 1.5}, "gpu_memory_utilization: 1.5"),
        ({"load_in_8bit": True, "load_in_4bit": True}, "load_in_8bit, load_in_4bit"),
        ({"load_in_8bit": True, "engine_kwargs": {"quantization": "awq"}}, "what load_in_8bit"),
        ({"cache_8bit": True, "engine_kwargs": {"kv_cache_dtype": "fp8"}}, "what cache_8bit"),
        ({"max_model_len": 100, "max_input_len": 101}, "max_input_len: 101 is more than"),
        ({"alpha_value": 2, "engine_kwargs": {"hf_overrides": {}}}, "alpha_value"),
        ({"alpha_value": 0.5}, "alpha_value: 0.5 is below 1"),
        ({"compress_pos_emb": 0}, "compress_pos_emb: 0 is below 1"),
        ({"lora_adapters": {"a=b": "/a"}}, "lora_adapters: 'a=b"),
        ({"lora_adapters": {"a": ""}}, "lora_adapters"),
        ({"engine_kwargs": {"tensor_parallel_size": 2}}, "here this is gpu_count"),
        ({"engine_kwargs": {"dtype": "half"}}, "here this is data_type"),
    ],
)
def test_contradictions_are_named(settings, words):
    with pytest.raises(ConfigError, match=words):
        VLLMSettings(**settings)


@given(st.sampled_from(sorted(OUR_WORDS)))
def test_no_argument_has_two_words(name):
    with pytest.raises(ConfigError, match=rf"engine_kwargs\.{name}"):
        VLLMSettings(engine_kwargs={name: 1})


def test_every_setting_is_frozen():
    assert VLLMSettings.__dataclass_params__.frozen
    assert all(each.kw_only for each in fields(VLLMSettings))


def test_compressed_positions_are_linear_scaling():
    made = arguments(compress_pos_emb=4)["hf_overrides"]
    assert made == {"rope_parameters": {"rope_type": "linear", "factor": 4, "rope_theta": 10000.0}}
    assert isinstance(made["rope_parameters"]["factor"], float)


@given(st.floats(1.01, 16))
def test_alpha_raises_the_base_and_nothing_else(alpha):
    rope = rope_overrides(VLLMSettings(alpha_value=alpha), LLAMA)["rope_parameters"]
    assert rope["rope_type"] == "default"
    assert rope["rope_theta"] == pytest.approx(10000.0 * alpha ** (64 / 62))


def test_a_longer_context_than_the_model_says_is_told_to_vllm():
    longer = VLLMSettings(alpha_value=2, max_model_len=4096)
    assert rope_overrides(longer, LLAMA)["max_position_embeddings"] == 4096
    shorter = VLLMSettings(alpha_value=2, max_model_len=1024)
    assert "max_position_embeddings" not in rope_overrides(shorter, LLAMA)


def test_newer_configs_keep_their_base():
    newer = {**LLAMA, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}
    made = rope_overrides(VLLMSettings(compress_pos_emb=2), newer)
    assert made["rope_parameters"]["rope_theta"] == 5e5


@pytest.mark.parametrize("own", [{"rope_type": "llama3"}, {"type": "yarn"}])
def test_a_models_own_scaling_is_not_replaced(own):
    with pytest.raises(ConfigError, match="rotary scaling of its own"):
        rope_overrides(VLLMSettings(alpha_value=2), {**LLAMA, "rope_scaling": own})
