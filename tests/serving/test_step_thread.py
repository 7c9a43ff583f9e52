"""Threads and the event loop around the batcher: chunks arrive, readers leave, models fail."""

from __future__ import annotations

import asyncio
import time

import pytest

from serving.batching import ContinuousBatcher
from serving.errors import EngineDead, InvalidRequest
from serving.step_thread import LONG_PROMPT_CHARACTERS, StepThread
from serving.types import GenerateRequest, Message, SamplingParams
from tests.serving.toy import ToyModel, ToyTokenizer


class FailingModel(ToyModel):
    """Works until it is told to fail."""

    fails = False

    def decode(self, token_ids, lengths):
        if self.fails:
            raise RuntimeError("out of luck")
        time.sleep(0.001)
        return super().decode(token_ids, lengths)


def start(num_sequences=4, max_model_len=512):
    model = FailingModel(num_sequences, max_model_len)
    batcher = ContinuousBatcher(
        model, ToyTokenizer(), num_sequences * max_model_len * model.kv_bytes_per_token
    )
    return model, StepThread(batcher)


def request(prompt="hello", n=1, **params):
    params = {"max_tokens": 10, "temperature": 0.0, "ignore_eos": True, **params}
    return GenerateRequest("r", prompt, SamplingParams(**params), n)


async def answer(engine, request):
    return [chunk async for chunk in engine.generate(request)]


async def until_idle(engine):
    async with asyncio.timeout(5):
        while engine.occupancy().num_running or engine.occupancy().num_waiting:
            await asyncio.sleep(0.002)


def run(scenario):
    asyncio.run(scenario())


def test_chunks_of_every_choice_arrive_in_order_and_the_first_tells_of_the_prompt():
    async def scenario():
        _, engine = start()
        chunks = await answer(engine, request(n=3))
        assert chunks[0].prompt.num_tokens == 5
        assert [chunk.prompt for chunk in chunks[1:]] == [None] * (len(chunks) - 1)
        for index in range(3):
            mine = [chunk for chunk in chunks if chunk.index == index]
            assert sum(chunk.num_tokens for chunk in mine) == 10
            assert [chunk.finish_reason for chunk in mine] == [None] * 9 + ["length"]
        await engine.stop()

    run(scenario)


def test_many_at_once_get_what_each_gets_alone():
    async def scenario():
        _, engine = start()
        requests = [request(f"prompt {k}", max_tokens=5 + k) for k in range(12)]
        alone = [await answer(engine, each) for each in requests]
        together = await asyncio.gather(*(answer(engine, each) for each in requests))
        for one, other in zip(alone, together, strict=True):
            assert [chunk.text for chunk in one] == [chunk.text for chunk in other]
        await engine.stop()

    run(scenario)


def test_closing_the_iterator_frees_the_row_within_a_step():
    async def scenario():
        model, engine = start()
        chunks = engine.generate(request(max_tokens=400))
        await anext(chunks)
        assert engine.occupancy().num_running == 1
        await chunks.aclose()
        calls = len(model.calls)
        await until_idle(engine)
        assert len(model.calls) - calls <= 3
        assert engine.occupancy().kv_bytes_used == 0
        assert not engine._streams
        await engine.stop()

    run(scenario)


def test_a_refused_request_harms_nobody():
    async def scenario():
        _, engine = start()
        running = asyncio.create_task(answer(engine, request(max_tokens=100)))
        with pytest.raises(InvalidRequest):
            await answer(engine, request(logit_bias={10**6: 1.0}))
        assert len(await running) == 100
        await engine.stop()

    run(scenario)


def test_a_long_prompt_does_not_hold_the_loop_and_is_served():
    async def scenario():
        _, engine = start(max_model_len=8192)
        text = "x" * (LONG_PROMPT_CHARACTERS + 1)
        for prompt in (text, (Message("user", text),), tuple(text.encode())):
            chunks = await answer(engine, request(prompt))
            assert chunks[0].prompt.num_tokens == len(text)
        await engine.stop()

    run(scenario)


def test_a_failing_model_ends_every_stream_and_all_later_requests():
    async def scenario():
        model, engine = start()
        tasks = [asyncio.create_task(answer(engine, request(max_tokens=400))) for _ in range(6)]
        await asyncio.sleep(0.05)
        model.fails = True
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, EngineDead)
            assert "out of luck" in result.message
        with pytest.raises(EngineDead):
            engine.check()
        with pytest.raises(EngineDead):
            await answer(engine, request())
        await engine.stop()

    run(scenario)


def test_stopping_ends_what_runs_and_waits_for_the_thread():
    async def scenario():
        _, engine = start(num_sequences=1)
        tasks = [asyncio.create_task(answer(engine, request(max_tokens=400))) for _ in range(3)]
        await asyncio.sleep(0.02)
        await engine.stop()
        await engine.stop()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, EngineDead)
        with pytest.raises(EngineDead, match="unloaded"):
            await answer(engine, request())

    run(scenario)
