"""Made-up prompts: exact where they can be, the same for everybody, heads shared as asked."""

from __future__ import annotations

import pickle

import pytest

from inference.bench.prompts.lengths import fixed, parse_length
from inference.bench.prompts.synthetic import SyntheticPrompts
from inference.bench.prompts.tokenizer import BenchTokenizer
from serving.errors import ConfigError

FOLDER = "models/anynode-demo"
ROUTES = ["chat", "completions", "generate", "embeddings"]


@pytest.fixture(scope="module")
def tokenizer():
    return BenchTokenizer(FOLDER)


def text_of(prompt):
    return prompt.messages[0]["content"] if prompt.messages else prompt.text


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("head", [0, 5])
def test_with_a_tokenizer_lengths_are_exact(tokenizer, route, head):
    length = parse_length("6:60", "x")
    prompts = SyntheticPrompts(length, fixed(3), route, tokenizer, prefix_tokens=head)
    for number in range(60):
        prompt = prompts.prompt(number)
        counted = len(prompt.token_ids) or tokenizer.count(text_of(prompt))
        assert prompt.num_tokens == counted
        assert 6 <= counted <= 60


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("known", [True, False])
def test_a_prompt_depends_on_its_number_and_the_seed_alone(tokenizer, route, known):
    def made(seed):
        reader = tokenizer if known else None
        return SyntheticPrompts(fixed(9), parse_length("1:99", "x"), route, reader, seed)

    forwards = [made(1).prompt(number) for number in range(20)]
    again = pickle.loads(pickle.dumps(made(1)))
    backwards = [again.prompt(number) for number in reversed(range(20))]
    assert forwards == backwards[::-1]
    assert forwards != [made(2).prompt(number) for number in range(20)]
    assert len({str(prompt) for prompt in forwards}) == 20


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("route", ["chat", "completions"])
def test_heads_are_shared_by_turns(tokenizer, route, known):
    reader = tokenizer if known else None
    prompts = SyntheticPrompts(fixed(20), fixed(1), route, reader, prefix_tokens=8, num_prefixes=3)

    def head(number):
        prompt = prompts.prompt(number)
        return prompt.token_ids[:8] or tuple(text_of(prompt).split()[:4])

    assert head(0) == head(3) == head(6)
    assert len({head(0), head(1), head(2)}) == 3


def test_without_a_tokenizer_there_are_so_many_words():
    prompt = SyntheticPrompts(fixed(30), fixed(2), "completions").prompt(0)
    assert len(prompt.text.split()) == 30
    assert prompt.num_tokens is None
    assert prompt.max_tokens == 2


def test_embeddings_are_not_answered_at_length():
    assert SyntheticPrompts(fixed(3), fixed(2), "embeddings").prompt(0).max_tokens is None


def test_a_head_must_leave_something():
    with pytest.raises(ConfigError, match="--prefix-tokens"):
        SyntheticPrompts(parse_length("8:20", "x"), fixed(1), "chat", prefix_tokens=8)


def test_several_heads_must_have_a_length():
    with pytest.raises(ConfigError, match="--num-prefixes: it needs --prefix-tokens"):
        SyntheticPrompts(fixed(8), fixed(1), "chat", num_prefixes=2)
