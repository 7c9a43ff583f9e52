"""A batched run gives token for token what each request gives alone, whatever happens around it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batching import ContinuousBatcher
from serving.errors import ContextTooLong, InvalidRequest
from serving.prefill_pace import MAX_PREFILL_CHUNK, MIN_PREFILL_CHUNK
from serving.types import GenerateRequest, SamplingParams
from tests.serving.toy import EOS, ToyModel, ToyTokenizer


def make_batcher(num_sequences=4, max_model_len=256, kv_tokens=None, clock=None):
    model = ToyModel(num_sequences, max_model_len)
    tokens = kv_tokens if kv_tokens is not None else num_sequences * max_model_len
    extra = {} if clock is None else {"clock": clock}
    return ContinuousBatcher(model, ToyTokenizer(), tokens * model.kv_bytes_per_token, **extra)


class Collected:
    """What one choice has said so far."""

    def __init__(self):
        self.text, self.num_tokens, self.finish_reason, self.tokens = "", 0, None, []
        self.logprobs, self.prompt = [], None

    def take(self, chunk):
        assert self.finish_reason is None, "a chunk after the last one"
        self.text += chunk.text
        self.num_tokens += chunk.num_tokens
        self.tokens += chunk.token_ids
        self.finish_reason = chunk.finish_reason
        self.logprobs += chunk.logprobs or ()
        self.prompt = self.prompt or chunk.prompt

    def key(self):
        return self.text, self.num_tokens, self.finish_reason, tuple(self.tokens)


def run_alone(request, **kwargs):
    """Every choice of the request in a batcher of its own, one choice at a time."""
    answers = []
    for index in range(request.n):
        batcher = make_batcher(num_sequences=1, **kwargs)
        sequence = batcher.prepare(request)[index]
        batcher.add(sequence)
        answer = Collected()
        while batcher.busy:
            for _, chunk in batcher.step():
                answer.take(chunk)
        answers.append(answer)
    return answers


def assert_empty(batcher):
    occupancy = batcher.occupancy()
    assert (occupancy.num_running, occupancy.num_waiting, occupancy.kv_bytes_used) == (0, 0, 0)
    assert not batcher.busy
    assert not batcher._reading
    assert not batcher._rows.decoding
    assert (batcher._model.kv == -1).all(), "KV of somebody is left"


sampling_params = st.builds(
    SamplingParams,
    max_tokens=st.integers(0, 30),
    min_tokens=st.sampled_from([0, 0, 3]),
    temperature=st.sampled_from([0.0, 0.0, 0.7, 1.0, 1.5]),
    top_p=st.sampled_from([1.0, 0.9, 0.3]),
    top_k=st.sampled_from([0, 0, 1, 5]),
    min_p=st.sampled_from([0.0, 0.05]),
    seed=st.integers(-5, 2**63),
    presence_penalty=st.sampled_from([0.0, 1.0]),
    frequency_penalty=st.sampled_from([0.0, 0.5]),
    repetition_penalty=st.sampled_from([1.0, 1.3]),
    logit_bias=st.sampled_from([{}, {65: 5.0}, {EOS: -100.0}]),
    stop=st.sampled_from([(), ("a",), ("stop", "\n"), ("é",)]),
    stop_token_ids=st.sampled_from([(), (10,)]),
    ignore_eos=st.booleans(),
    logprobs=st.sampled_from([None, None, 0, 2]),
)
requests = st.builds(
    GenerateRequest,
    request_id=st.just("r"),
    prompt=st.text(min_size=1, max_size=40),
    sampling=sampling_params,
    n=st.sampled_from([1, 1, 1, 2, 3]),
)
storms = st.lists(
    st.tuples(requests, st.integers(0, 4), st.one_of(st.none(), st.integers(1, 12))),
    min_size=1,
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(storm=storms, num_sequences=st.integers(1, 5), kv_tokens=st.integers(200, 900))
def test_a_storm_gives_what_each_request_gives_alone(storm, num_sequences, kv_tokens):
    """Arrivals between steps, cancellations at any step; then nothing is left in any table."""
    batcher = make_batcher(num_sequences, kv_tokens=kv_tokens)
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
    assert_empty(batcher)
    alone = {id(request): run_alone(request) for request, _, _ in storm}
    for sequence, answer in answers.items():
        expected = alone[id(sequence.request)][sequence.index]
        if sequence not in cancel_at:
            assert answer.key() == expected.key()
        else:  # a cancelled one said a beginning of the same
            assert expected.text.startswith(answer.text)


def run_step(batcher, answers, cancel_at, step):
    for sequence, chunk in batcher.step():
        answers[sequence].take(chunk)
    for sequence, when in cancel_at.items():
        if when == step:
            batcher.cancel(sequence)
            batcher.cancel(sequence)  # twice is harmless
    occupancy = batcher.occupancy()
    assert occupancy.kv_bytes_used <= occupancy.kv_bytes_total


def run_all(batcher, *requests):
    answers = {}
    for request in requests:
        for sequence in batcher.prepare(request):
            batcher.add(sequence)
            answers[sequence] = Collected()
    while batcher.busy:
        for sequence, chunk in batcher.step():
            answers[sequence].take(chunk)
    assert_empty(batcher)
    return list(answers.values())


def greedy(prompt="hello", **params):
    return GenerateRequest("r", prompt, SamplingParams(**{"temperature": 0.0, **params}))


def test_the_prompt_is_read_once_for_all_choices_of_a_request():
    batcher = make_batcher()
    request = GenerateRequest("r", "a prompt", SamplingParams(max_tokens=3, ignore_eos=True), n=3)
    run_all(batcher, request)
    assert [call for call in batcher._model.calls if call[0] == "prefill"] == [("prefill", 8)]


def test_choices_of_one_seed_differ_and_repeat():
    request = GenerateRequest("r", "x", SamplingParams(max_tokens=20, seed=7, ignore_eos=True), n=2)
    first = [answer.tokens for answer in run_all(make_batcher(), request)]
    again = [answer.tokens for answer in run_all(make_batcher(), request)]
    assert first == again
    assert first[0] != first[1]


def test_a_long_prompt_never_stops_running_streams_for_long():
    """Between two decode steps lies no more prompt work than the allowance and one chunk."""
    clock = iter(range(10**9))
    batcher = make_batcher(2, max_model_len=4096, clock=lambda: next(clock) * 1e-3)
    short = batcher.prepare(greedy("hi", max_tokens=200, ignore_eos=True))[0]
    batcher.add(short)
    for _ in range(10):
        batcher.step()
    batcher.add(batcher.prepare(greedy("x" * 2000, max_tokens=5))[0])
    batcher._model.calls.clear()
    while not batcher.busy or batcher.occupancy().num_running < 2 or batcher._reading:
        batcher.step()
    between, longest = 0, 0
    for kind, size in batcher._model.calls:
        between = between + size if kind == "prefill" else 0
        longest = max(longest, between)
    assert sum(kind == "decode" for kind, _ in batcher._model.calls) > 3
    assert longest <= MAX_PREFILL_CHUNK + MIN_PREFILL_CHUNK


def test_a_short_prompt_overtakes_a_long_one_that_is_being_read_but_not_for_ever():
    batcher = make_batcher(4, max_model_len=4096)
    long = batcher.prepare(greedy("x" * 3000, max_tokens=2))[0]
    batcher.add(long)
    batcher.step()
    short = batcher.prepare(greedy("y" * 20, max_tokens=2))[0]
    batcher.add(short)
    batcher.step()
    assert short.num_unread == 0
    assert long.num_unread > 0
    late = [batcher.prepare(greedy("y" * 400, max_tokens=2))[0] for _ in range(40)]
    for step in range(200):
        if step < len(late):
            batcher.add(late[step])
        batcher.step()
        if not long.num_unread:
            break
    assert any(each.num_unread for each in late), "the long prompt waited for all others"


def test_requests_wait_for_kv_memory_and_are_never_stopped_for_it():
    batcher = make_batcher(4, kv_tokens=60)
    answers = run_all(
        batcher, *(greedy("p" * 20, max_tokens=30, ignore_eos=True) for _ in range(4))
    )
    assert [answer.num_tokens for answer in answers] == [30] * 4


def test_a_small_request_does_not_overtake_one_that_waits_for_memory():
    batcher = make_batcher(4, kv_tokens=100)
    first, big, small = (
        batcher.prepare(greedy("p", max_tokens=size, ignore_eos=True))[0] for size in (60, 80, 5)
    )
    for sequence in (first, big, small):
        batcher.add(sequence)
    while not first.finished:
        assert small.num_in_kv == 0, "the small request overtook the big one"
        batcher.step()
    while batcher.busy:
        batcher.step()
    assert big.finished
    assert small.finished


def test_echo_logprobs_of_the_prompt_do_not_depend_on_chunks():
    request = greedy("x" * 700, max_tokens=0, logprobs=1, prompt_logprobs=True)
    answer = run_all(make_batcher(1, max_model_len=1024), request)[0]
    logprobs = answer.prompt.logprobs
    assert len(logprobs) == 700
    assert logprobs[0].logprob is None
    assert all(each.logprob <= each.top[0][2] for each in logprobs[1:])
    assert (answer.num_tokens, answer.finish_reason) == (0, "length")


def test_a_stop_string_leaks_neither_text_nor_logprobs():
    free = run_alone(greedy(max_tokens=25, ignore_eos=True, logprobs=0))[0]
    stop = free.text[6:9]
    answer = run_alone(greedy(max_tokens=25, ignore_eos=True, logprobs=0, stop=(stop,)))[0]
    assert answer.finish_reason == "stop"
    assert answer.text == free.text[: free.text.find(stop)]
    assert len(answer.logprobs) == len(answer.tokens) <= answer.num_tokens
    shown = ToyTokenizer().decode(answer.tokens)
    assert answer.text.startswith(shown)


def test_silent_callers_get_the_default_cut_to_what_fits():
    answers = run_all(make_batcher(1, 64), greedy("x" * 60, default_max_tokens=32, ignore_eos=True))
    assert answers[0].num_tokens == 4


@pytest.mark.parametrize(
    ("request_", "error", "param"),
    [
        (greedy("x" * 64), ContextTooLong, "prompt"),
        (greedy("x" * 60, max_tokens=5), ContextTooLong, "max_tokens"),
        (greedy(""), InvalidRequest, "prompt"),
        (greedy(logit_bias={9999: 1.0}), InvalidRequest, "logit_bias"),
        (greedy(stop_token_ids=(-1,)), InvalidRequest, "stop_token_ids"),
        (greedy((5, 9999)), InvalidRequest, "prompt"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(request_, error, param):
    batcher = make_batcher(1, 64)
    with pytest.raises(error) as caught:
        batcher.prepare(request_)
    assert caught.value.param == param
    assert_empty(batcher)


def test_a_budget_smaller_than_a_row_is_named():
    with pytest.raises(ContextTooLong, match="kv_cache_bytes holds 20"):
        make_batcher(1, 64, kv_tokens=20).prepare(greedy("x" * 10, max_tokens=15))
