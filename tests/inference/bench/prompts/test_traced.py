"""A trace's prompts."""

from __future__ import annotations

import pickle

from inference.bench.prompts.tokenizer import BenchTokenizer
from inference.bench.prompts.traced import TracedPrompts
from inference.bench.trace import Entry, Trace

TRACE = Trace((Entry(0, 4, 9), Entry(1, 6, 8)))


def traced(route="completions", tokenizer=None, seed=0):
    return TracedPrompts(TRACE, route, tokenizer=tokenizer, seed=seed)


def test_prompts_have_the_traces_lengths_and_begin_it_again():
    prompts = [traced().prompt(number) for number in range(3)]
    lengths = [(len(prompt.text.split()), prompt.max_tokens) for prompt in prompts]
    assert lengths == [(4, 9), (6, 8), (4, 9)]
    assert prompts[0].text != prompts[2].text


def test_with_a_tokenizer_they_are_exact():
    prompts = traced(tokenizer=BenchTokenizer("models/anynode-demo"))
    assert [len(prompts.prompt(number).token_ids) for number in range(2)] == [4, 6]


def test_they_depend_on_the_seed_and_the_number_alone():
    again = pickle.loads(pickle.dumps(traced("chat", seed=3)))
    assert again.prompt(1) == traced("chat", seed=3).prompt(1)
    assert again.prompt(1) != traced("chat", seed=4).prompt(1)
