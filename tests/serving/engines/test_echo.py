from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serving.engine import CAPABILITIES, create_engine
from serving.engines.echo import EchoEngine, Pace
from serving.errors import ConfigError, ContextTooLong, EngineDead, InvalidRequest
from serving.types import Chunk, EngineSettings, GenerateRequest, Message, SamplingParams

SETTINGS = EngineSettings(Path())


def with_engine(use: Callable[[EchoEngine], Coroutine[Any, Any, Any]], **settings: Any) -> Any:
    async def main() -> Any:
        engine = EchoEngine(replace(SETTINGS, **settings))
        await engine.load()
        return await use(engine)

    return asyncio.run(main())


def run(prompt, n=1, engine=None, **sampling) -> list[Chunk]:
    async def use(engine: EchoEngine) -> list[Chunk]:
        request = GenerateRequest("r", prompt, SamplingParams(**sampling), n)
        return [chunk async for chunk in engine.generate(request)]

    return with_engine(use, **(engine or {}))


def text_of(chunks, index=0) -> str:
    return "".join(chunk.text for chunk in chunks if chunk.index == index)


def test_it_is_in_the_table():
    engine = create_engine("echo", SETTINGS)
    assert isinstance(engine, EchoEngine)
    assert engine.capabilities <= CAPABILITIES


def test_it_says_the_prompt_and_stops():
    chunks = run("héllo")
    assert text_of(chunks) == "héllo"
    assert [chunk.num_tokens for chunk in chunks] == [1] * 5
    assert [chunk.finish_reason for chunk in chunks] == [None] * 4 + ["stop"]
    assert chunks[0].prompt.num_tokens == 5
    assert all(chunk.prompt is None for chunk in chunks[1:])


def test_of_a_chat_it_says_the_last_user_message():
    chat = (Message("system", "be"), Message("user", "old"), Message("user", "new"))
    chunks = run(chat)
    assert text_of(chunks) == "new"
    assert chunks[0].prompt.num_tokens == len("be\nold\nnew")


def test_token_ids_are_code_points():
    assert text_of(run((104, 105))) == "hi"
    with pytest.raises(InvalidRequest):
        run((0x110000,))


def test_nothing_to_say():
    empty = (Message("user", ""),)
    [chunk] = run(empty)
    assert (chunk.text, chunk.num_tokens, chunk.finish_reason) == ("", 0, "stop")
    assert text_of(run(empty, ignore_eos=True, max_tokens=3)) == "   "


@pytest.mark.parametrize(
    ("sampling", "text", "reason"),
    [
        ({"max_tokens": 2}, "ab", "length"),
        ({"max_tokens": 3}, "abc", "length"),
        ({"max_tokens": 4}, "abc", "stop"),
        ({"default_max_tokens": 2}, "ab", "length"),
        ({"max_tokens": 7, "ignore_eos": True}, "abcabca", "length"),
        ({"min_tokens": 5}, "abcab", "stop"),
        ({"stop": ("bc",)}, "a", "stop"),
        ({"stop": ("bc",), "include_stop_str_in_output": True}, "abc", "stop"),
        ({"stop": ("cX",)}, "abc", "stop"),
        ({"stop": ("bc",), "min_tokens": 3, "ignore_eos": True}, "abca", "stop"),
        ({"stop_token_ids": (ord("b"),)}, "a", "stop"),
        ({"stop_token_ids": (ord("c"),), "stop": ("bX",)}, "ab", "stop"),
    ],
)
def test_where_it_ends(sampling, text, reason):
    chunks = run("abc", **sampling)
    assert text_of(chunks) == text
    assert chunks[-1].finish_reason == reason


def test_a_stop_counts_the_tokens_it_took():
    assert sum(chunk.num_tokens for chunk in run("abc", stop=("bc",))) == 3


def test_n_choices_say_the_same():
    chunks = run("ab", n=3)
    assert [text_of(chunks, index) for index in range(3)] == ["ab"] * 3
    assert sum(chunk.finish_reason == "stop" for chunk in chunks) == 3
    assert sum(chunk.prompt is not None for chunk in chunks) == 1


def test_it_is_always_certain():
    chunks = run("ab", logprobs=2, prompt_logprobs=True)
    assert [chunk.logprobs[0].logprob for chunk in chunks] == [0.0, 0.0]
    assert chunks[0].logprobs[0].top == ((97, "a", 0.0),)
    assert [token.logprob for token in chunks[0].prompt.logprobs] == [None, 0.0]
    assert run("ab", logprobs=0)[0].logprobs[0].top == ()


def test_the_context_is_a_limit():
    short = {"max_model_len": 4}
    with pytest.raises(ContextTooLong):
        run("abcd", engine=short)
    with pytest.raises(ContextTooLong):
        run("abc", engine=short, max_tokens=2)
    assert text_of(run("ab", engine=short, ignore_eos=True)) == "ab"
    assert text_of(run("ab", engine=short, ignore_eos=True, default_max_tokens=9)) == "ab"


def test_unknown_settings_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'tokens_per_s'"):
        EchoEngine(replace(SETTINGS, engine_kwargs={"token_per_s": 1}))
    for wrong in (-1, "fast", True, float("nan")):
        with pytest.raises(ConfigError, match="first_token_ms"):
            Pace.from_kwargs({"first_token_ms": wrong})


def test_the_pace_is_kept():
    started = time.monotonic()
    chunks = run(
        "a" * 20, engine={"engine_kwargs": {"tokens_per_s": 100.0, "prefill_ms_per_token": 2.0}}
    )
    took = time.monotonic() - started
    assert len(text_of(chunks)) == 20
    assert 0.225 < took < 0.6  # 40 ms of prefill and 19 gaps of 10 ms


def test_late_tokens_come_together():
    async def use(engine: EchoEngine) -> list[int]:
        request = GenerateRequest("r", "a" * 50)
        sizes = []
        async for chunk in engine.generate(request):
            sizes.append(chunk.num_tokens)
            time.sleep(0.02)  # the consumer holds up the loop
        return sizes

    sizes = with_engine(use, engine_kwargs={"tokens_per_s": 200.0})
    assert sum(sizes) == 50
    assert max(sizes) >= 3


def test_rows_are_limited_and_freed():
    async def use(engine: EchoEngine) -> None:
        first = engine.generate(GenerateRequest("1", "abc", n=2))
        await anext(first)
        assert engine.occupancy().num_running == 2
        second = asyncio.ensure_future(anext(engine.generate(GenerateRequest("2", "abc"))))
        await asyncio.sleep(0.01)
        assert engine.occupancy().num_waiting == 1
        await first.aclose()
        assert (await second).text == "a"

    with_engine(use, max_num_seqs=2)


def test_a_waiting_request_can_be_cancelled():
    async def use(engine: EchoEngine) -> None:
        async with aclosing(engine.generate(GenerateRequest("1", "abc"))) as first:
            await anext(first)
            waiting = asyncio.ensure_future(anext(engine.generate(GenerateRequest("2", "abc"))))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
        assert engine.occupancy().num_running == engine.occupancy().num_waiting == 0

    with_engine(use, max_num_seqs=1)


def test_unloading_ends_what_runs():
    async def use(engine: EchoEngine) -> None:
        await engine.check_health()
        running = asyncio.ensure_future(anext(engine.generate(GenerateRequest("1", "abc"))))
        await asyncio.sleep(0)
        await engine.unload()
        await engine.unload()
        with pytest.raises(EngineDead):
            await running
        with pytest.raises(EngineDead):
            await engine.check_health()

    with_engine(use, engine_kwargs={"first_token_ms": 60_000.0})


def test_before_loading_it_is_not_there():
    with pytest.raises(EngineDead):
        asyncio.run(EchoEngine(SETTINGS).check_health())
