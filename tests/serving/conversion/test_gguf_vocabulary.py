"""A tokenizer.json as GGUF's vocabulary. tests/llama_cpp reads texts with what is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving.conversion.gguf_vocabulary import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    special_tokens,
    split_rule,
    vocabulary,
)
from serving.errors import ConfigError

DEMO_MODEL = Path(__file__).parents[3] / "models" / "anynode-demo"
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
NO_WORDS = BYTE_LEVEL | {"use_regex": False}
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_2 = LLAMA_3.replace("{1,3}", "")
SENTENCEPIECE = {
    "added_tokens": [
        {"id": 0, "content": "<unk>", "special": True},
        {"id": 1, "content": "<s>", "special": True},
        {"id": 6, "content": "<tool>", "special": False},
    ],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}]},
    "pre_tokenizer": None,
    "model": {
        "type": "BPE",
        "byte_fallback": True,
        "unk_token": "<unk>",
        "vocab": {"<unk>": 0, "<s>": 1, "<0x0A>": 2, "a": 3, "b": 4, "ab": 5, "abb": 7},
        "merges": [["a", "b"], ["ab", "b"], ["a", "bb"]],
    },
}


def split(pattern):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


@pytest.mark.parametrize(
    ("pre_tokenizer", "name"),
    [
        (BYTE_LEVEL, "gpt-2"),
        (sequence(split(LLAMA_3), NO_WORDS), "llama-bpe"),
        (sequence(split(QWEN_2), NO_WORDS), "qwen2"),
        (sequence({"type": "Digits", "individual_digits": True}, BYTE_LEVEL), "smollm"),
    ],
)
def test_how_text_is_cut_has_a_name(pre_tokenizer, name):
    assert split_rule({"pre_tokenizer": pre_tokenizer}) == name


@pytest.mark.parametrize(
    "pre_tokenizer",
    [
        None,
        NO_WORDS,
        BYTE_LEVEL | {"add_prefix_space": True},
        sequence(split(r"\w+"), NO_WORDS),
        sequence(split(LLAMA_3), BYTE_LEVEL),
        sequence(split(LLAMA_3), split(r"\d"), NO_WORDS),
        {"type": "Whitespace"},
    ],
)
def test_a_way_of_cutting_without_a_name_is_refused(pre_tokenizer):
    with pytest.raises(ConfigError, match="cuts text in a way"):
        split_rule({"pre_tokenizer": pre_tokenizer})


def test_the_demo_models_vocabulary():
    tokenizer = json.loads((DEMO_MODEL / "tokenizer.json").read_text())
    values = vocabulary(tokenizer, 2050)
    tokens, kinds = values["tokenizer.ggml.tokens"], values["tokenizer.ggml.token_type"]
    assert tokens[:4] == ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "!"]
    assert kinds[:4] == [CONTROL] * 3 + [NORMAL]
    assert kinds[2048:] == [UNUSED] * 2  # the model may have more than its tokenizer
    assert len(set(tokens)) == 2050
    assert values["tokenizer.ggml.pre"] == "gpt-2"
    assert all(merge.count(" ") == 1 for merge in values["tokenizer.ggml.merges"])


def test_a_sentencepiece_vocabulary_merges_by_score():
    values = vocabulary(SENTENCEPIECE, 9)
    assert values["tokenizer.ggml.model"] == "llama"
    assert values["tokenizer.ggml.token_type"] == [
        UNKNOWN,
        CONTROL,
        BYTE,
        *[NORMAL] * 3,
        USER_DEFINED,
        NORMAL,
        UNUSED,
    ]
    scores = values["tokenizer.ggml.scores"]
    assert scores[5] > scores[7] > scores[3]
    assert values["tokenizer.ggml.add_space_prefix"] is True


@pytest.mark.parametrize(("scheme", "adds"), [("first", True), ("always", True), ("never", False)])
def test_a_space_may_be_thought_before_a_text(scheme, adds):
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme}
    tokenizer = SENTENCEPIECE | {"normalizer": None, "pre_tokenizer": metaspace}
    assert vocabulary(tokenizer, 9)["tokenizer.ggml.add_space_prefix"] is adds


@pytest.mark.parametrize("kind", ["Unigram", "WordPiece", None])
def test_other_kinds_are_refused(kind):
    with pytest.raises(ConfigError, match="only BPE is converted"):
        vocabulary({"model": {"type": kind}}, 9)


def test_a_tokenizer_with_more_tokens_than_its_model_is_refused():
    with pytest.raises(ConfigError, match="has a token 7, and the model only 7"):
        vocabulary(SENTENCEPIECE, 7)


def test_special_tokens_that_are_not_there_are_not_named():
    values = special_tokens({"bos": None, "eos": 2}, add_bos=False, add_eos=False)
    assert values == {
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.ggml.add_eos_token": False,
    }
