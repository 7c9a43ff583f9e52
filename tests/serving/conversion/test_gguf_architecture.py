"""What GGUF calls a checkpoint's sizes and tensors. tests/llama_cpp shows that models run so."""

from __future__ import annotations

import numpy as np
import pytest

from serving.conversion.gguf_architecture import (
    arranged,
    metadata,
    read_architecture,
    rope_factors,
    tensor_name,
)
from serving.errors import ConfigError

LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def shape(**changes):
    return read_architecture(LLAMA | changes)


def test_sizes_get_their_names():
    values = metadata(shape(rope_theta=500_000))
    assert values["llama.block_count"] == 2
    assert values["llama.attention.head_count_kv"] == 2
    assert values["llama.attention.key_length"] == 64
    assert values["llama.rope.freq_base"] == 500_000.0
    assert "llama.rope.scaling.type" not in values


def test_an_own_head_size_is_kept():
    values = metadata(shape(architectures=["Qwen3ForCausalLM"], head_dim=128))
    assert values["qwen3.attention.key_length"] == values["qwen3.rope.dimension_count"] == 128


@pytest.mark.parametrize(
    "said",
    [
        {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 5e5}},
        {"rope_scaling": {"type": "linear", "factor": 4}, "rope_theta": 500_000},
    ],
)
def test_positions_may_be_scaled_in_old_words_and_new(said):
    values = metadata(shape(**said))
    assert values["llama.rope.scaling.type"] == "linear"
    assert values["llama.rope.scaling.factor"] == 4.0
    assert values["llama.rope.freq_base"] == 500_000.0


@pytest.mark.parametrize(
    ("window", "length"),
    [
        ({}, 8192),
        ({"sliding_window": None}, 8192),
        ({"sliding_window": 4096}, 4096),
        ({"sliding_window": 4096, "use_sliding_window": False}, 8192),
        ({"sliding_window": 9000}, 8192),
    ],
)
def test_a_model_with_a_window_is_itself_up_to_its_length(window, length):
    assert shape(architectures=["MistralForCausalLM"], **window).context_length == length


@pytest.mark.parametrize(
    ("name", "gguf"),
    [
        ("model.embed_tokens.weight", "token_embd.weight"),
        ("lm_head.weight", "output.weight"),
        ("model.layers.11.self_attn.o_proj.weight", "blk.11.attn_output.weight"),
        ("model.layers.0.self_attn.q_proj.bias", "blk.0.attn_q.bias"),
        ("model.layers.0.post_attention_layernorm.weight", "blk.0.ffn_norm.weight"),
        ("model.layers.0.self_attn.rotary_emb.inv_freq", None),
    ],
)
def test_tensors_get_their_names(name, gguf):
    assert tensor_name(name, shape()) == gguf


def test_a_head_that_is_the_embedding_is_not_stored_twice():
    assert tensor_name("lm_head.weight", shape(tie_word_embeddings=True)) is None


@pytest.mark.parametrize("name", ["model.layers.0.mlp.experts.0.w1.weight", "visual.patch.weight"])
def test_a_tensor_without_a_name_is_refused(name):
    with pytest.raises(ConfigError, match="has a tensor"):
        tensor_name(name, shape())


def test_queries_and_keys_are_interleaved_where_llama_cpp_rotates_neighbours():
    small = shape(hidden_size=8, num_attention_heads=2, num_key_value_heads=1)  # heads of 4
    query = np.arange(8)[:, None]
    assert arranged("blk.0.attn_q.weight", query, small)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    key = np.arange(4)
    assert arranged("blk.0.attn_k.bias", key, small).tolist() == [0, 2, 1, 3]
    assert arranged("blk.0.attn_v.weight", query, small) is query
    qwen = shape(architectures=["Qwen2ForCausalLM"])
    assert arranged("blk.0.attn_q.weight", query, qwen) is query


def test_llama_3_slows_low_frequencies_only():
    factors = rope_factors(shape(rope_parameters=LLAMA3_ROPE | {"rope_theta": 500_000.0}))
    assert factors.shape == (32,)
    assert factors[0] == 1
    assert factors[-1] == 8
    assert (np.diff(factors) >= 0).all()
    assert rope_factors(shape()) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architectures": ["GemmaForCausalLM"]}, "is a GemmaForCausalLM, and only Llama"),
        ({"architectures": []}, "is a none"),
        ({"quantization_config": {}}, "is quantised already"),
        ({"hidden_act": "gelu"}, "uses gelu"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4}}, "scales positions by yarn"),
        (
            {"architectures": ["Qwen2ForCausalLM"], "rope_parameters": LLAMA3_ROPE},
            "scales positions by llama3",
        ),
    ],
)
def test_what_would_not_be_right_is_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        shape(**changes)
