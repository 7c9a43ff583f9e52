"""OpenVINO on the bundled model: right answers, its rules for tokens, its process."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal

import psutil
import pytest

from serving.engines.openvino import OpenVINOEngine, kv_block_bytes
from serving.engines.openvino_batcher import BLOCK_TOKENS, generation_config, num_blocks
from serving.errors import ConfigError, EngineDead
from serving.model_shape import read_shape
from serving.types import EngineSettings, SamplingParams
from tests.contract.engine_contract import (
    DEMO_MODEL,
    Case,
    collect,
    loaded,
    request,
    text_of,
    until_idle,
)
from tests.contract.engine_exam import *  # noqa: F403

CASE = Case("openvino", settings={"max_num_seqs": 8})


@pytest.fixture
def case():
    return CASE


def run(scenario, **changes):
    async def with_engine():
        async with loaded(CASE, **changes) as engine:
            await scenario(engine)

    asyncio.run(with_engine())


def token_ids(chunks, index=0):
    return [token for chunk in chunks if chunk.index == index for token in chunk.token_ids]


def workers():
    return [
        each
        for each in psutil.Process().children()
        if "serving.engines.openvino_worker" in each.cmdline()
    ]


def test_a_seed_repeats_itself_and_choices_differ():
    async def scenario(engine):
        asked = request(n=3, temperature=1.5, seed=5, max_tokens=20)
        first, again = await collect(engine, asked), await collect(engine, asked)
        answers = [text_of(first, index) for index in range(3)]
        assert answers == [text_of(again, index) for index in range(3)]
        assert len(set(answers)) == 3
        unseeded = [await collect(engine, request(temperature=1.5)) for _ in range(2)]
        assert text_of(unseeded[0]) != text_of(unseeded[1])

    run(scenario)


def test_stop_tokens_and_the_least_length():
    async def scenario(engine):
        free = token_ids(await collect(engine, request(max_tokens=20)))
        stop = free[3]
        early = await collect(engine, request(max_tokens=20, stop_token_ids=(stop,)))
        assert token_ids(early) == free[: free.index(stop)]
        assert early[-1].finish_reason == "stop"
        held = await collect(
            engine, request(max_tokens=20, stop_token_ids=(stop,), min_tokens=8, ignore_eos=False)
        )
        assert sum(chunk.num_tokens for chunk in held) > 8
        assert stop not in token_ids(held)[:8]

    run(scenario)


def test_an_answer_of_no_tokens_tells_of_the_prompt():
    async def scenario(engine):
        chunks = await collect(engine, request(max_tokens=0))
        assert [chunk.finish_reason for chunk in chunks] == ["length"]
        assert chunks[0].prompt.num_tokens > 0
        assert chunks[0].num_tokens == 0
        await until_idle(engine)

    run(scenario)


def test_repetition_is_punished():
    async def scenario(engine):
        plain = token_ids(await collect(engine, request(max_tokens=60)))
        punished = token_ids(await collect(engine, request(max_tokens=60, repetition_penalty=3.0)))
        assert len(set(punished)) > len(set(plain))

    run(scenario)


def test_the_bounds_of_what_may_be_asked_are_taken():
    """A refusal by OpenVINO would end the worker, and with it everybody's answers."""
    bounds = (
        {"temperature": 2.0, "top_p": 1e-6, "top_k": 1, "min_p": 1.0, "seed": 2**63},
        {"temperature": 2e-5, "top_k": 10**6, "repetition_penalty": 100.0},
        {"presence_penalty": -2.0, "frequency_penalty": 2.0, "repetition_penalty": 1e-3},
        {"temperature": 1.0, "seed": -1},
        {"min_tokens": 12, "stop_token_ids": tuple(range(1000))},
    )

    async def scenario(engine):
        for params in bounds:
            chunks = await collect(engine, request(n=2, **params))
            assert sum(chunk.num_tokens for chunk in chunks) == 24
        await engine.check_health()

    run(scenario)


def test_who_waits_for_kv_memory_gets_its_turn():
    shape = read_shape(DEMO_MODEL)
    room_for_two = 2 * num_blocks(100) * kv_block_bytes(shape)

    async def scenario(engine):
        asked = [request(f"{word} " * 20, max_tokens=50) for word in "abcdef"]
        answers = asyncio.gather(*(collect(engine, each) for each in asked))
        await asyncio.sleep(0.05)
        occupancy = engine.occupancy()
        assert occupancy.num_waiting > 0
        assert occupancy.kv_bytes_used <= occupancy.kv_bytes_total
        for chunks in await answers:
            assert sum(chunk.num_tokens for chunk in chunks) == 50
        await until_idle(engine)
        assert engine.occupancy().kv_bytes_used == 0

    run(scenario, kv_cache_bytes=room_for_two)


def test_the_kv_memory_is_as_large_as_was_asked():
    async def scenario(engine):
        total = engine.occupancy().kv_bytes_total
        assert total == pytest.approx(1_000_000, abs=kv_block_bytes(read_shape(DEMO_MODEL)))

    run(scenario, kv_cache_bytes=1_000_000)


def test_a_killed_worker_ends_its_answers_with_the_reason():
    async def scenario():
        async with loaded(CASE) as engine:
            chunks = engine.generate(request(max_tokens=400))
            await anext(chunks)
            (worker,) = workers()
            os.kill(worker.pid, signal.SIGKILL)
            with pytest.raises(EngineDead, match="SIGKILL"):
                async for _ in chunks:
                    pass
            with pytest.raises(EngineDead):
                await engine.check_health()

    asyncio.run(scenario())


def test_unloading_ends_the_worker():
    async def scenario(engine):
        assert len(workers()) == 1
        await engine.unload()
        assert workers() == []

    run(scenario)


def test_a_folder_that_is_a_conversion_is_a_model(tmp_path):
    """As those on the hub are: OpenVINO's files beside the tokenizer's."""
    shutil.copytree(DEMO_MODEL / "openvino", tmp_path, dirs_exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(DEMO_MODEL / name, tmp_path)
    (tmp_path / "anynode.json").unlink()

    async def scenario(engine):
        assert text_of(await collect(engine, request()))

    run(scenario, model_source=tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data_type": "bfloat16"}, "data_type: .* set data_type: int8"),
        ({"data_type": "int4"}, "--engine openvino --data-type int4"),
        ({"max_model_len": 10**6}, "max_model_len"),
        ({"kv_cache_bytes": 2**50}, "kv_cache_bytes: .* lower it"),
        ({"engine_kwargs": {"max_num_batched_tokens": 4}}, "a number from 32 on, not 4"),
        ({"engine_kwargs": {"enable_prefix_caching": 1}}, "true or false, not 1"),
    ],
)
def test_settings_that_cannot_work_are_named(changes, words):
    with pytest.raises(ConfigError, match=words):
        run(None, **changes)


def broken(tmp_path, name, content):
    folder = tmp_path / "model"
    shutil.copytree(DEMO_MODEL, folder)
    path = folder / "openvino" / name
    path.write_bytes(content(path.read_bytes()))
    return folder


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("openvino_model.bin", lambda data: data[:-1], "missing or cut short"),
        ("openvino_model.xml", lambda data: b"?" * len(data), "cannot load"),
    ],
)
def test_a_broken_model_is_refused_with_the_way_out(tmp_path, name, content, words):
    folder = broken(tmp_path, name, content)
    with pytest.raises(ConfigError, match=f"{words}.*anynode convert .* --engine openvino"):
        run(None, model_source=folder)
    assert workers() == []


def test_a_model_that_was_not_converted_says_how(tmp_path):
    with pytest.raises(ConfigError, match=r"anynode convert .* --engine openvino"):
        asyncio.run(OpenVINOEngine(EngineSettings(tmp_path)).load())


def test_what_openvino_is_told():
    greedy = generation_config(SamplingParams(temperature=0.0, seed=3), 0)
    assert greedy["do_sample"] is False
    assert "rng_seed" not in greedy
    sampled = generation_config(SamplingParams(temperature=0.7, top_k=5, seed=-1), 1)
    assert (sampled["temperature"], sampled["top_k"], sampled["rng_seed"]) == (0.7, 5, 0)
    assert "top_k" not in generation_config(SamplingParams(), 0)


def test_blocks_hold_whole_answers():
    assert [num_blocks(tokens) for tokens in (1, BLOCK_TOKENS, BLOCK_TOKENS + 1)] == [1, 1, 2]
