"""The promises of `serving.engine.Engine`: tests for whoever has a fixture `case`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from serving.cpu.pinning import engine_on
from serving.engine import CAPABILITIES, create_engine
from serving.errors import ConfigError, ContextTooLong, EngineDead, InvalidRequest, ServingError
from serving.processes import descendants
from serving.types import EngineSettings, GenerateRequest, Message, SamplingParams

DEMO_MODEL = Path(__file__).parents[2] / "models" / "anynode-demo"
MAX_MODEL_LEN = 512


@dataclass(frozen=True)
class Case:
    """An engine under contract, with a model it can load."""

    engine: str
    model: Path = DEMO_MODEL
    engine_kwargs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    computes: bool = True  # on threads of its own


def settings(case, **changes):
    base = {
        "model_source": case.model,
        "max_num_seqs": 4,
        "max_model_len": MAX_MODEL_LEN,
        "engine_kwargs": case.engine_kwargs,
        **case.settings,
    }
    return EngineSettings(**{**base, **changes})


@asynccontextmanager
async def loaded(case, **changes):
    engine = create_engine(case.engine, settings(case, **changes))
    await engine.load()
    try:
        yield engine
    finally:
        await engine.unload()


def request(prompt="one two three four five six seven eight", n=1, **params):
    params = {"max_tokens": 12, "temperature": 0.0, "ignore_eos": True, **params}
    return GenerateRequest("test", prompt, SamplingParams(**params), n)


async def collect(engine, request):
    return [chunk async for chunk in engine.generate(request)]


def text_of(chunks, index=0):
    return "".join(chunk.text for chunk in chunks if chunk.index == index)


async def until_idle(engine):
    async with asyncio.timeout(10):
        while engine.occupancy().num_running or engine.occupancy().num_waiting:
            await asyncio.sleep(0.005)


def threads():
    """All threads of this process and of those it has started: (pid, thread's id)."""
    pids = [os.getpid(), *descendants(os.getpid())]
    return {(pid, int(each.name)) for pid in pids for each in Path(f"/proc/{pid}/task").iterdir()}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux pins threads")
def test_what_it_starts_while_it_loads_stays_on_its_cpus(case):
    """So that replicas share no cores: see serving.cpu.pinning."""
    one = {max(os.sched_getaffinity(0))}

    async def scenario():
        before = threads()
        with engine_on(one):
            engine = create_engine(case.engine, settings(case, num_threads=2))
            await engine.load()
        started = threads() - before
        try:
            await collect(engine, request())
            assert [thread for _, thread in started if os.sched_getaffinity(thread) != one] == []
            assert not case.computes or started
        finally:
            await engine.unload()

    asyncio.run(scenario())


def test_answers_have_a_beginning_a_count_and_one_end(case):
    async def scenario():
        async with loaded(case) as engine:
            assert engine.max_model_len == MAX_MODEL_LEN
            assert engine.capabilities <= CAPABILITIES
            chunks = await collect(engine, request(n=3))
            assert chunks[0].prompt.num_tokens > 0
            assert all(chunk.prompt is None for chunk in chunks[1:])
            for index in range(3):
                mine = [chunk for chunk in chunks if chunk.index == index]
                assert sum(chunk.num_tokens for chunk in mine) == 12
                assert [chunk.finish_reason for chunk in mine[:-1]] == [None] * (len(mine) - 1)
                assert mine[-1].finish_reason == "length"

    asyncio.run(scenario())


def test_the_same_request_gives_the_same_answer_alone_and_in_company(case):
    async def scenario():
        async with loaded(case) as engine:
            requests = [request(f"{word} " * 5, seed=7, temperature=1.0) for word in "abcdefgh"]
            alone = [text_of(await collect(engine, each)) for each in requests]
            together = await asyncio.gather(*(collect(engine, each) for each in requests))
            assert [text_of(chunks) for chunks in together] == alone

    asyncio.run(scenario())


def test_a_stop_string_ends_the_answer_and_is_not_in_it(case):
    async def scenario():
        async with loaded(case) as engine:
            free = text_of(await collect(engine, request(max_tokens=30)))
            stop = free[7:10]
            chunks = await collect(engine, request(max_tokens=30, stop=(stop,)))
            assert text_of(chunks) == free[: free.index(stop)]
            assert chunks[-1].finish_reason == "stop"

    asyncio.run(scenario())


def test_chat_messages_are_a_prompt(case):
    async def scenario():
        async with loaded(case) as engine:
            chunks = await collect(engine, request((Message("user", "Hello there"),)))
            assert text_of(chunks)

    asyncio.run(scenario())


def test_token_ids_are_a_prompt(case):
    async def scenario():
        async with loaded(case) as engine:
            chunks = await collect(engine, request((72, 101, 108, 108, 111)))
            assert chunks[0].prompt.num_tokens == 5

    asyncio.run(scenario())


def test_closing_an_answer_frees_its_place(case):
    async def scenario():
        async with loaded(case, max_num_seqs=1) as engine:
            chunks = engine.generate(request(max_tokens=300))
            await anext(chunks)
            waiting = asyncio.create_task(collect(engine, request(max_tokens=3)))
            await chunks.aclose()
            async with asyncio.timeout(5):
                assert sum(chunk.num_tokens for chunk in await waiting) == 3
            await until_idle(engine)
            assert engine.occupancy().kv_bytes_used == 0

    asyncio.run(scenario())


def test_what_does_not_fit_is_refused_before_the_first_chunk(case):
    async def scenario():
        async with loaded(case) as engine:
            running = asyncio.create_task(collect(engine, request(max_tokens=60)))
            await asyncio.sleep(0)
            for params, error in (
                ({"max_tokens": MAX_MODEL_LEN}, ContextTooLong),
                ({"prompt": ()}, InvalidRequest),
                ({"prompt": (10**9,)}, InvalidRequest),
            ):
                with pytest.raises(error):
                    await collect(engine, request(**params))
            assert sum(chunk.num_tokens for chunk in await running) == 60

    asyncio.run(scenario())


def test_unloading_twice_ends_what_runs_and_refuses_what_comes(case):
    async def scenario():
        async with loaded(case) as engine:
            await engine.check_health()
            running = asyncio.create_task(collect(engine, request(max_tokens=400)))
            while not engine.occupancy().num_running:
                await asyncio.sleep(0)
            await engine.unload()
            await engine.unload()
            with pytest.raises(ServingError):
                await running
            with pytest.raises(EngineDead):
                await collect(engine, request())
            with pytest.raises(EngineDead):
                await engine.check_health()

    asyncio.run(scenario())


def test_unknown_engine_kwargs_are_refused_by_name(case):
    with pytest.raises(ConfigError, match="tokens_per_sec"):
        create_engine(case.engine, settings(case, engine_kwargs={"tokens_per_sec": 1}))
