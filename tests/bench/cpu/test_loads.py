"""The same for everybody, and never the same twice."""

from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from bench.cpu.loads import MAX_MODEL_LEN, PROMPT_TOKENS, Load, loads, num_requests, prompts
from bench.models import ROOT

MODEL = str(ROOT / "models" / "anynode-demo")


@given(st.lists(st.integers(1, 64), min_size=1, unique=True), st.integers(1, 5))
def test_no_prompt_is_asked_twice(concurrency, rounds):
    asked = list(chain.from_iterable(loads(concurrency, 64, each) for each in range(rounds)))
    numbers = [each.first_prompt + at for each in asked for at in range(each.num_requests)]
    assert len(numbers) == len(set(numbers))


@given(st.integers(1, 64))
def test_a_warm_up_reads_little(concurrency):
    warm_up, *others = loads([concurrency], 64, 1)
    assert not warm_up.counts
    assert warm_up.prompt_tokens <= PROMPT_TOKENS
    assert concurrency > 16 or warm_up.prompt_tokens * concurrency <= PROMPT_TOKENS
    assert {load.prompt_tokens for load in others} == {PROMPT_TOKENS}


def test_at_each_concurrency_a_warm_up_one_token_and_whole_answers():
    found = [(load.concurrency, load.answer_tokens, load.counts) for load in loads([1, 8], 64, 1)]
    assert found == [
        (1, 8, False),
        (1, 1, True),
        (1, 64, True),
        (8, 8, False),
        (8, 1, True),
        (8, 64, True),
    ]


@given(st.integers(1, 64))
def test_all_clients_ask_equally_often(concurrency):
    assert num_requests(concurrency) % concurrency == 0
    assert 3 <= num_requests(concurrency) < concurrency + 3


def test_prompts_are_as_long_as_said_and_fit():
    source = prompts(MODEL, Load(1, 64, first_prompt=5))
    first = source.prompt(0)
    assert (len(first.token_ids), first.max_tokens) == (PROMPT_TOKENS, 64)
    assert PROMPT_TOKENS + 64 <= MAX_MODEL_LEN
    assert prompts(MODEL, Load(1, 1, first_prompt=4)).prompt(1).token_ids == first.token_ids
