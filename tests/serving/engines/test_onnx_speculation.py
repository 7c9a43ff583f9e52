"""Speculation on the bundled model: the very answers that it gives without."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from serving.batching import ContinuousBatcher
from serving.engine import create_engine
from serving.engines.onnx import MOST_SPECULATIVE_TOKENS, OnnxEngine
from serving.engines.onnx_decoder import OnnxDecoder
from serving.errors import ConfigError
from serving.speculation import Speculation, verifies_exactly
from serving.tokenizer import CheckpointTokenizer
from serving.types import EngineSettings
from tests.contract.engine_contract import DEMO_MODEL, collect, text_of
from tests.contract.engine_exam import QUESTIONS, ask

NUM_QUESTIONS = 5


@pytest.fixture(scope="module", params=[True, False], ids=["own kernels", "ONNX Runtime's"])
def decoder(request):
    made = OnnxDecoder(
        DEMO_MODEL / "onnx",
        num_rows=2,
        max_model_len=512,
        num_threads=2,
        own_kernels=request.param,
    )
    yield made
    made.close()


def answers(decoder, requests, *, speculating):
    """Each request's tokens and logprobs, alone; by this clock a draft costs no more than a token,
    so that drafts are verified whenever there is hope for them."""
    speculation = Speculation(decoder, MOST_SPECULATIVE_TOKENS) if speculating else None
    batcher = ContinuousBatcher(
        decoder,
        CheckpointTokenizer(DEMO_MODEL, decoder.vocab_size),
        decoder.kv_bytes_per_token * 512,
        prefix_caching=True,
        speculation=speculation,
        clock=itertools.count().__next__,
    )
    said = []
    for request in requests:
        batcher.add(batcher.prepare(request)[0])
        chunks = []
        while batcher.busy:
            chunks += [chunk for _, chunk in batcher.step()]
        tokens = [token for chunk in chunks for token in chunk.token_ids]
        said.append((tokens, [logprob for chunk in chunks for logprob in chunk.logprobs or ()]))
    return said, batcher.occupancy()


def test_tokens_and_logprobs_are_the_same_to_the_bit(decoder):
    requests = [
        ask(each["question"], temperature=temperature, seed=3, logprobs=2, ignore_eos=True)
        for each in QUESTIONS[:NUM_QUESTIONS]
        for temperature in (0.0, 0.8)
    ]
    plain, _ = answers(decoder, requests, speculating=False)
    guessed, occupancy = answers(decoder, requests, speculating=True)
    assert guessed == plain
    assert occupancy.num_accepted_tokens > 100


def test_this_machine_verifies_to_the_bit(decoder):
    assert verifies_exactly(decoder)


def test_it_is_on_unless_it_is_switched_off():
    request = ask("Count from 1 to 9. " * 8, max_tokens=200, ignore_eos=True)

    async def told(**engine_kwargs):
        engine = create_engine("onnx", EngineSettings(DEMO_MODEL, engine_kwargs=engine_kwargs))
        await engine.load()
        try:
            return text_of(await collect(engine, request)), engine.occupancy()
        finally:
            await engine.unload()

    text, occupancy = asyncio.run(told())
    plain, none = asyncio.run(told(num_speculative_tokens=0))
    assert text == plain
    assert occupancy.num_draft_tokens >= occupancy.num_accepted_tokens > 0
    assert none.num_draft_tokens == 0


@pytest.mark.parametrize("value", [-1, 8, True, 2.0, "3"])
def test_a_number_of_tokens_that_cannot_be_is_named(value):
    settings = EngineSettings(DEMO_MODEL, engine_kwargs={"num_speculative_tokens": value})
    with pytest.raises(ConfigError, match=r"num_speculative_tokens is a number from 0 \(off\) to"):
        OnnxEngine(settings)


def test_a_misspelt_option_is_named_with_the_nearest():
    settings = EngineSettings(DEMO_MODEL, engine_kwargs={"speculative_tokens": 3})
    with pytest.raises(ConfigError, match="num_speculative_tokens"):
        OnnxEngine(settings)
