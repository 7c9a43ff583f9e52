"""Beginnings of prompts are read once, and nobody's answer shows it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batching import ContinuousBatcher
from serving.prefill_pace import MIN_LAST_CHUNK
from serving.prefix_cache import MIN_TOKENS, PrefixCache, best_prefix, common_length
from serving.types import GenerateRequest, SamplingParams
from tests.serving.test_batching import Collected, run_alone, run_step, sampling_params
from tests.serving.toy import ToyModel, ToyTokenizer

HEAD = "You are a helpful assistant. "  # longer than MIN_TOKENS


def make_batcher(num_sequences=4, kv_tokens=1000):
    model = ToyModel(num_sequences)
    budget = kv_tokens * model.kv_bytes_per_token
    return ContinuousBatcher(model, ToyTokenizer(), budget, prefix_caching=True)


def ask(prompt, **params):
    params = {"max_tokens": 5, "temperature": 0.0, "ignore_eos": True, **params}
    return GenerateRequest("r", prompt, SamplingParams(**params))


def run(batcher, *requests):
    """Their answers, all asked for at once."""
    answers = {}
    for request in requests:
        for sequence in batcher.prepare(request):
            batcher.add(sequence)
            answers[sequence] = Collected()
    while batcher.busy:
        for sequence, chunk in batcher.step():
            answers[sequence].take(chunk)
    return [answer.text for answer in answers.values()]


def num_read(batcher):
    """Prompt tokens read since the last time."""
    calls, batcher._model.calls[:] = list(batcher._model.calls), []
    return sum(tokens for kind, tokens in calls if kind == "prefill")


def test_a_prompt_that_begins_like_an_earlier_one_is_read_from_where_they_part():
    batcher = make_batcher()
    run(batcher, ask(HEAD + "one"))
    assert num_read(batcher) == len(HEAD) + 3
    assert run(batcher, ask(HEAD + "two")) == [run_alone(ask(HEAD + "two"))[0].text]
    assert num_read(batcher) == MIN_LAST_CHUNK


def test_the_same_prompt_again_leaves_a_last_chunk_to_read():
    batcher = make_batcher()
    run(batcher, ask(HEAD))
    num_read(batcher)
    run(batcher, ask(HEAD))
    assert num_read(batcher) == MIN_LAST_CHUNK


def test_a_prompt_that_is_being_answered_serves_others_too():
    batcher = make_batcher()
    answers = {}
    first, second = (batcher.prepare(ask(HEAD + tail))[0] for tail in ("1", "2"))
    batcher.add(first)
    answers[first] = Collected()
    for number in range(3):
        run_step(batcher, answers, {}, number)
    num_read(batcher)
    batcher.add(second)
    answers[second] = Collected()
    while batcher.busy:
        run_step(batcher, answers, {}, 9)
    assert num_read(batcher) == MIN_LAST_CHUNK
    assert answers[second].text == run_alone(ask(HEAD + "2"))[0].text


def test_what_was_decoded_is_read_again():
    """A chat's next turn begins with this one's prompt and answer; only the prompt is used."""
    batcher = make_batcher()
    (answer,) = run(batcher, ask(HEAD, max_tokens=20))
    num_read(batcher)
    turn = HEAD + answer + " and then"
    run(batcher, ask(turn))
    read = len(ToyTokenizer().encode(turn)) - len(HEAD)
    assert num_read(batcher) == read


def test_probabilities_of_the_prompt_are_those_of_all_its_tokens():
    batcher = make_batcher()
    run(batcher, ask(HEAD))
    num_read(batcher)
    run(batcher, ask(HEAD, prompt_logprobs=True, logprobs=0))
    assert num_read(batcher) == len(HEAD)


def test_sequences_have_the_memory_before_prompts_that_are_kept():
    batcher = make_batcher(kv_tokens=2 * (len(HEAD) + 10))
    for tail in "abc":
        run(batcher, ask(tail * 3 + HEAD))
        kept = batcher._cache.num_tokens * batcher._model.kv_bytes_per_token
        assert 0 < kept <= batcher.occupancy().kv_bytes_total
    run(batcher, ask("x" * len(HEAD)), ask("y" * len(HEAD)))  # both run at once: all of it
    assert batcher.occupancy().kv_bytes_used == 0


tails = st.text(alphabet="ab", max_size=6)
prompts = st.builds(lambda head, tail: head + tail, st.sampled_from([HEAD, 2 * HEAD, ""]), tails)
storms = st.lists(
    st.tuples(
        st.builds(
            GenerateRequest,
            request_id=st.just("r"),
            prompt=prompts.filter(bool),
            sampling=sampling_params,
            n=st.sampled_from([1, 1, 2]),
        ),
        st.integers(0, 6),
        st.one_of(st.none(), st.integers(1, 12)),
    ),
    min_size=1,
    max_size=10,
)


@settings(max_examples=300, deadline=None)
@given(storm=storms, num_sequences=st.integers(1, 5), kv_tokens=st.integers(200, 900))
def test_a_storm_of_like_prompts_gives_what_each_request_gives_alone(
    storm, num_sequences, kv_tokens
):
    batcher = make_batcher(num_sequences, kv_tokens)
    answers, cancel_at, step = {}, {}, 0
    for request, pause, patience in storm:
        for _ in range(pause):
            run_step(batcher, answers, cancel_at, step := step + 1)
        for sequence in batcher.prepare(request):
            batcher.add(sequence)
            answers[sequence] = Collected()
            if patience is not None:
                cancel_at[sequence] = step + patience
    while batcher.busy:
        run_step(batcher, answers, cancel_at, step := step + 1)
        used = batcher.occupancy().kv_bytes_used // batcher._model.kv_bytes_per_token
        assert used + batcher._cache.num_tokens <= kv_tokens
    for sequence, answer in answers.items():
        if sequence not in cancel_at:
            alone = run_alone(sequence.request)[sequence.index]
            assert answer.key() == alone.key()
    written = {row for row in range(batcher._model.num_rows) if (batcher._model.kv[row] >= 0).any()}
    assert written <= {row for row, _ in batcher._cache.prompts()}


@pytest.mark.parametrize(
    ("one", "other", "length"),
    [([1, 2, 3], [1, 2, 4], 2), ([1, 2], [1, 2, 3], 2), ([], [1], 0), ([5], [1], 0)],
)
def test_common_length(one, other, length):
    assert common_length(np.array(one), np.array(other)) == length


def test_short_beginnings_are_not_worth_it():
    prompt = np.arange(MIN_TOKENS + MIN_LAST_CHUNK)
    assert best_prefix(prompt, []) is None
    assert best_prefix(prompt, [(3, prompt[: MIN_TOKENS - 1])]) is None
    assert best_prefix(prompt, [(3, prompt[:MIN_TOKENS]), (4, prompt)]) == (4, MIN_TOKENS)


def test_the_longest_unused_is_forgotten_first():
    cache = PrefixCache()
    cache.keep(1, np.arange(20), 25)
    cache.keep(0, np.arange(30), 30)
    assert cache.num_tokens == 55
    assert 1 in cache
    assert cache.forget_oldest() == 1
    cache.forget(0)
    cache.forget(0)
    assert cache.num_tokens == 0
