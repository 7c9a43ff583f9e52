"""The throughput benchmark's prompts: of the length asked for, and not one the other's head."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.bench.prompts.tokenizer import BenchTokenizer
from inference.bench.throughput.prompts import (
    QUESTIONS,
    RepeatedQuestions,
    SamePrompt,
    parse_prompt_length,
    read_prompt,
    words_for,
)
from serving.errors import ConfigError
from tests.inference.bench.prompts.tokenizers import byte_level_bpe

NAMES = {"5": 5, "25": 25, "50": 50, "100": 100, "500": 500, "1k": 1000, "2k": 2000, "4k": 4000}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return BenchTokenizer(byte_level_bpe(tmp_path_factory.mktemp("tokenizer")))


def said(prompt) -> str:
    return prompt.messages[-1]["content"]


def common_words(one: str, other: str) -> int:
    """How many words two texts begin with together."""
    pairs = list(zip(one.split(), other.split(), strict=True))
    return next((place for place, (a, b) in enumerate(pairs) if a != b), len(pairs))


@pytest.mark.parametrize(("name", "num_tokens"), NAMES.items())
def test_the_tools_lengths_have_their_names(name, num_tokens):
    assert parse_prompt_length(name) == num_tokens


@pytest.mark.parametrize("text", ["", "0", "k", "-5", "1.5k", "1m", " 5", "05", "99999999k"])
def test_what_is_no_length_is_refused(text):
    with pytest.raises(ConfigError, match="--prompt-length"):
        parse_prompt_length(text)


@given(st.integers(1, 5000), st.integers(0, 1 << 31), st.integers(0, 99))
def test_a_prompt_depends_on_its_seed_and_number_alone(num_words, number, seed):
    source = RepeatedQuestions(num_words, 16, seed=seed)
    prompt = source.prompt(number)
    assert prompt == pickle.loads(pickle.dumps(source)).prompt(number)
    assert len(said(prompt).split()) == num_words
    assert prompt.max_tokens == 16


@pytest.mark.parametrize("name", list(NAMES)[2:])
def test_with_a_tokenizer_prompts_are_about_as_long_as_asked(tokenizer, name):
    source = RepeatedQuestions(words_for(NAMES[name], tokenizer), 16, tokenizer=tokenizer)
    for number in range(5):
        prompt = source.prompt(number)
        assert prompt.num_tokens == tokenizer.count(said(prompt))
        assert prompt.num_tokens == pytest.approx(NAMES[name], rel=0.15, abs=8)


def test_without_a_tokenizer_only_the_server_knows_the_length():
    assert words_for(1000, None) == 750
    assert words_for(1, None) == 1
    assert RepeatedQuestions(750, 16).prompt(0).num_tokens is None


def test_no_long_prompt_has_the_head_of_another():
    texts = {said(RepeatedQuestions(750, 16).prompt(number)) for number in range(300)}
    assert len(texts) == 300
    other_seed = said(RepeatedQuestions(750, 16, seed=1).prompt(0))
    assert other_seed not in texts
    first = said(RepeatedQuestions(750, 16).prompt(0))
    assert max(common_words(first, text) for text in texts - {first}) < 100


def test_a_system_prompt_comes_first_and_is_counted(tokenizer):
    prompt = RepeatedQuestions(10, 16, "Be kind.", tokenizer).prompt(0)
    assert [turn["role"] for turn in prompt.messages] == ["system", "user"]
    assert prompt.num_tokens == tokenizer.count("Be kind.") + tokenizer.count(said(prompt))


def test_questions_are_all_different_and_end():
    assert len(set(QUESTIONS)) == len(QUESTIONS)
    assert all(question[-1] in "?." for question in QUESTIONS)


def test_a_prompt_of_a_file_is_sent_as_it_is(tmp_path):
    path = tmp_path / "input.jsonl"
    path.write_text(json.dumps({"5": "Hi", "1k": "Why?  Really"}) + "\n")
    source = SamePrompt(read_prompt(path, "1k"), 16)
    assert source.prompt(0) == source.prompt(7)
    assert source.prompt(0).messages == ({"role": "user", "content": "Why?  Really"},)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "one JSON object"),
        ("{}", "one JSON object"),
        ('{"5": "x"}\n{"6": "y"}', "not JSON"),
        ('{"1k ": "x"}', "--prompt-length: .* has no prompt '1k' .did you mean '1k '"),
        ('{"five": "x", "six": "y"}', "there are five, six"),
        ('{"1k": 7}', "'1k' must be a text"),
        ('{"1k": " "}', "'1k' must be a text"),
    ],
)
def test_a_prompt_file_that_is_wrong_is_named(tmp_path, text, said):
    path = tmp_path / "input.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        read_prompt(path, "1k")
    assert "input.jsonl" in caught.value.message


def test_a_prompt_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ConfigError, match="--prompt-file"):
        read_prompt(tmp_path / "nowhere", "1k")
