"""What transformers 5 wrote, in the words of transformers 4."""

from __future__ import annotations

import pytest

from serving.conversion.transformers4 import (
    config_for_4,
    tokenizer_config_for_4,
    tokenizer_for_4_37,
)
from serving.errors import ConfigError

OLD = {"model_type": "llama", "torch_dtype": "float16", "rope_theta": 1e4, "rope_scaling": None}


def test_what_transformers_4_wrote_stays():
    assert config_for_4(OLD) == OLD
    tokenizer = {"tokenizer_class": "GPT2Tokenizer", "extra_special_tokens": {"image": "<i>"}}
    assert tokenizer_config_for_4(tokenizer) == tokenizer


def test_plain_rope():
    new = {
        "model_type": "llama",
        "dtype": "float16",
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
        "transformers_version": "5.23.0",
    }
    assert config_for_4(new) == OLD


def test_scaled_rope():
    scaling = {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}
    old = config_for_4({"rope_parameters": {**scaling, "rope_theta": 5e5}})
    assert old == {"rope_theta": 5e5, "rope_scaling": scaling}


def test_partial_rope():
    parameters = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.4}
    assert config_for_4({"rope_parameters": parameters}) == {
        "rope_theta": 1e4,
        "partial_rotary_factor": 0.4,
        "rope_scaling": None,
    }


def test_a_rope_for_each_kind_of_layer():
    new = {
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        }
    }
    assert config_for_4(new) == {
        "rope_theta": 1e6,
        "rope_local_base_freq": 1e4,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0},
    }


def test_the_config_of_a_part():
    new = {"text_config": {"dtype": "bfloat16"}, "quantization_config": {"bits": 4}}
    assert config_for_4(new) == {
        "text_config": {"torch_dtype": "bfloat16"},
        "quantization_config": {"bits": 4},
    }


def test_a_tokenizer_of_the_new_class():
    new = {
        "tokenizer_class": "TokenizersBackend",
        "backend": "tokenizers",
        "is_local": True,
        "extra_special_tokens": ["<|user|>"],
        "eos_token": "</s>",
    }
    assert tokenizer_config_for_4(new) == {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "additional_special_tokens": ["<|user|>"],
        "eos_token": "</s>",
    }


def test_merges_as_text():
    new = {"version": "1.0", "model": {"type": "BPE", "merges": [["a", "b"], ["ab", "c"]]}}
    old = {"version": "1.0", "model": {"type": "BPE", "merges": ["a b", "ab c"]}}
    assert tokenizer_for_4_37(new) == old
    assert tokenizer_for_4_37(old) == old
    unigram = {"model": {"type": "Unigram", "vocab": [["a", -1.0]]}}
    assert tokenizer_for_4_37(unigram) == unigram


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"merges": [["a b", "c"]]}, "tokens with spaces in its merges"),
        ({"merges": [], "ignore_merges": True}, "ignore_merges.* choose another engine"),
    ],
)
def test_what_old_tokenizers_cannot_do_is_refused(model, words):
    with pytest.raises(ConfigError, match=words):
        tokenizer_for_4_37({"model": model})
