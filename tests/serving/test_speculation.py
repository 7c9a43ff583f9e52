"""With drafts an answer is token for token what it is without, and comes in fewer calls."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batching import ContinuousBatcher
from serving.speculation import Speculation, verifies_exactly
from serving.stepped_engine import SteppedEngine
from serving.types import EngineSettings, GenerateRequest, SamplingParams
from tests.serving.test_batching import Collected, assert_empty, requests
from tests.serving.toy import EOS, ToyModel, ToyTokenizer

NUM_TOKENS = 7
STEP_S = {"decode": 1.0, "verify": 1.5, "prefill": 0.1}


class LoopingModel(ToyModel):
    """A toy that says what its row said `period` tokens ago, or something else by a chance that the
    row's content decides; it can verify, and each call takes its time on a clock."""

    verify_sizes = (4, 8)

    def __init__(self, num_sequences: int, period: int = 5, whims: float = 0.1, verify_s=1.5):
        super().__init__(num_sequences)
        self.period, self.whims, self.seconds = period, whims, 0.0
        self._costs = STEP_S | {"verify": verify_s}

    def prefill(self, row, token_ids, start, *, all_logits):
        self.seconds += self._costs["prefill"]
        return super().prefill(row, token_ids, start, all_logits=all_logits)

    def decode(self, token_ids, lengths):
        self.seconds += self._costs["decode"]
        return super().decode(token_ids, lengths)

    def verify(self, token_ids, length):
        size = next(size for size in self.verify_sizes if size >= len(token_ids))
        self.seconds += self._costs["verify"]
        self.calls.append(("verify", len(token_ids)))
        self.kv[0, length : length + size] = 0  # what pads a call is written too
        self.kv[0, length : length + len(token_ids)] = token_ids
        ends = range(length + 1, length + 1 + len(token_ids))
        return np.stack([self._logits(0, end) for end in ends])

    def _logits(self, row, length):
        logits = super()._logits(row, length)
        tokens = self.kv[row, :length]
        if length >= self.period and int(tokens.sum()) % 100 >= 100 * self.whims:
            logits[tokens[-self.period]] += 20.0
        return logits


def batcher_of(model, *, speculating: bool, **kwargs) -> ContinuousBatcher:
    speculation = Speculation(model, NUM_TOKENS) if speculating else None
    return ContinuousBatcher(
        model,
        ToyTokenizer(),
        model.kv_bytes_per_token * 256 * (model.num_rows - 1),
        speculation=speculation,
        clock=lambda: model.seconds,
        **kwargs,
    )


def run(model, request, *, speculating: bool, **kwargs):
    batcher = batcher_of(model, speculating=speculating, **kwargs)
    answers = {}
    for sequence in batcher.prepare(request):
        batcher.add(sequence)
        answers[sequence] = Collected()
    while batcher.busy:
        for sequence, chunk in batcher.step():
            answers[sequence].take(chunk)
    if not kwargs:
        assert_empty(batcher)
    return list(answers.values()), batcher


def ask(prompt="abcdabcdabcd", **params) -> GenerateRequest:
    sampling = {"temperature": 0.0, "max_tokens": 100, "ignore_eos": True} | params
    return GenerateRequest("r", prompt, SamplingParams(**sampling))


def num_calls(model, kind: str) -> int:
    return sum(called == kind for called, _ in model.calls)


@settings(max_examples=200, deadline=None)
@given(
    request=requests,
    max_tokens=st.integers(1, 60),
    period=st.integers(2, 9),
    whims=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_answers_are_the_same_token_for_token(request, max_tokens, period, whims):
    """With every rule of sampling, every end, seeds and logprobs."""
    request = replace(request, sampling=replace(request.sampling, max_tokens=max_tokens))
    plain, _ = run(LoopingModel(4, period, whims), request, speculating=False)
    guessed, _ = run(LoopingModel(4, period, whims), request, speculating=True)
    for one, other in zip(plain, guessed, strict=True):
        assert one.key() == other.key()
        assert one.logprobs == other.logprobs


@settings(max_examples=100, deadline=None)
@given(
    storm=st.lists(
        st.tuples(requests, st.integers(0, 12), st.one_of(st.none(), st.integers(1, 20))),
        min_size=1,
        max_size=5,
    ),
    prefix_caching=st.booleans(),
)
def test_company_changes_nothing_when_drafts_come_and_go(storm, prefix_caching):
    """Sequences that arrive while one is alone, and leave it alone again, cancelled or done."""
    model = LoopingModel(3)
    batcher = batcher_of(model, speculating=True, prefix_caching=prefix_caching)
    answers, cancel_at, step = {}, {}, 0

    def one_step():
        nonlocal step
        step += 1
        for sequence, chunk in batcher.step():
            answers[sequence].take(chunk)
        for sequence, when in cancel_at.items():
            if when == step:
                batcher.cancel(sequence)

    for request, pause, patience in storm:
        for _ in range(pause):
            one_step()
        for sequence in batcher.prepare(request):
            batcher.add(sequence)
            answers[sequence] = Collected()
            if patience is not None:
                cancel_at[sequence] = step + patience
    while batcher.busy:
        one_step()
    assert batcher.occupancy().kv_bytes_used == 0
    alone = {id(each): run(LoopingModel(3), each, speculating=False)[0] for each, _, _ in storm}
    for sequence, answer in answers.items():
        expected = alone[id(sequence.request)][sequence.index]
        if sequence in cancel_at:
            assert expected.text.startswith(answer.text)
        else:
            assert answer.key() == expected.key()


def test_a_text_that_repeats_itself_takes_a_fraction_of_the_time():
    request = ask(max_tokens=200)
    plain, guessing = LoopingModel(1, whims=0.0), LoopingModel(1, whims=0.0)
    run(plain, request, speculating=False)
    _, batcher = run(guessing, request, speculating=True)
    assert guessing.seconds < plain.seconds / 3
    assert num_calls(guessing, "verify") + num_calls(guessing, "decode") < 60
    occupancy = batcher.occupancy()
    assert occupancy.num_accepted_tokens > 0.9 * occupancy.num_draft_tokens > 100


def test_a_text_that_does_not_costs_nothing():
    request = ask("the quick brown fox", max_tokens=200)
    plain, guessing = LoopingModel(1, whims=1.0), LoopingModel(1, whims=1.0)
    run(plain, request, speculating=False)
    run(guessing, request, speculating=True)
    assert guessing.seconds <= plain.seconds


def test_where_verifying_costs_more_than_it_brings_it_is_left():
    guessing = LoopingModel(1, whims=0.0, verify_s=9.0)
    run(guessing, ask(max_tokens=200), speculating=True)
    assert 0 < num_calls(guessing, "verify") <= 2 * len(guessing.verify_sizes)
    assert num_calls(guessing, "decode") > 150


def test_in_company_nothing_is_drafted():
    model = LoopingModel(2, whims=0.0)
    batcher = batcher_of(model, speculating=True)
    for _ in range(2):
        batcher.add(batcher.prepare(ask(max_tokens=50))[0])
    while batcher.occupancy().num_running < 2 or batcher._reading:
        batcher.step()
    while batcher.occupancy().num_running == 2:
        batcher.step()
    assert num_calls(model, "verify") == 0


@pytest.mark.parametrize("max_tokens", [2, 9, 10, 33])
def test_no_token_comes_after_the_last(max_tokens):
    answers, _ = run(LoopingModel(1, whims=0.0), ask(max_tokens=max_tokens), speculating=True)
    assert (answers[0].num_tokens, answers[0].finish_reason) == (max_tokens, "length")


def test_an_end_inside_a_right_draft_ends_the_answer():
    prompt = (*b"abc", EOS, *b"abc", EOS, *b"abc", EOS)
    model = LoopingModel(1, period=4, whims=0.0)
    answers, _ = run(model, ask(prompt, max_tokens=40, ignore_eos=False), speculating=True)
    assert answers[0].finish_reason == "stop"
    assert answers[0].num_tokens <= 4
    free, _ = run(LoopingModel(1, period=4, whims=0.0), ask(prompt), speculating=True)
    assert free[0].num_tokens == 100


def test_a_stop_string_across_a_draft_ends_the_answer():
    model = LoopingModel(1, period=4, whims=0.0)
    answers, _ = run(model, ask(min_tokens=20, stop=("da",)), speculating=True)
    assert num_calls(model, "verify") > 0
    assert answers[0].finish_reason == "stop"
    assert "da" not in answers[0].text[20:]


def test_rows_never_take_more_than_was_promised_to_them():
    """A verification that pads must fit into prompt and longest answer too."""
    model = LoopingModel(1, whims=0.0)
    request = ask(max_tokens=60)
    batcher = batcher_of(model, speculating=True)
    sequence = batcher.prepare(request)[0]
    batcher.add(sequence)
    while batcher.busy:
        batcher.step()
        if batcher.busy:
            assert (model.kv[0, len(sequence.prompt_ids) + 60 :] == -1).all()
    assert num_calls(model, "verify") > 3


def test_verifying_is_tried_before_it_is_trusted():
    model = LoopingModel(1)
    assert verifies_exactly(model)
    assert (model.kv == -1).all()

    class Rounding(LoopingModel):
        def verify(self, token_ids, length):
            return np.nextafter(super().verify(token_ids, length), np.float32(0))

    rounding = Rounding(1)
    assert not verifies_exactly(rounding)


class ToyEngine(SteppedEngine):
    num_speculative_tokens = NUM_TOKENS

    def __init__(self, model):
        super().__init__(EngineSettings(Path("toy"), kv_cache_bytes=10_000))
        self.model = model

    def open_model(self):
        return self.model

    def open_tokenizer(self, vocab_size):
        return ToyTokenizer()


@pytest.mark.parametrize(("sizes", "drafts"), [((4, 8), True), ((), False), (None, False)])
def test_an_engine_whose_model_cannot_verify_says_so_and_decodes(caplog, sizes, drafts):
    model = ToyModel(2) if sizes is None else LoopingModel(2, whims=0.0)
    if sizes is not None:
        model.verify_sizes = sizes

    async def told():
        engine = ToyEngine(model)
        await engine.load()
        chunks = [chunk async for chunk in engine.generate(ask())]
        occupancy = engine.occupancy()
        await engine.unload()
        return sum(chunk.num_tokens for chunk in chunks), occupancy

    num_tokens, occupancy = asyncio.run(told())
    assert num_tokens == 100
    assert (occupancy.num_draft_tokens > 0) == drafts
    assert ("speculation is off for toy" in caplog.text) == (not drafts)
