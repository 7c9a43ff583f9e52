"""The default engine on the bundled model: right answers, and the same ones in any company."""

from __future__ import annotations

import asyncio

import pytest

from serving.engines.onnx import OnnxEngine
from serving.errors import ConfigError
from serving.types import EngineSettings
from tests.contract.engine_company import *  # noqa: F403
from tests.contract.engine_contract import DEMO_MODEL, Case, collect, text_of
from tests.contract.engine_exam import *  # noqa: F403
from tests.contract.engine_exam import ask


@pytest.fixture
def case():
    return Case("onnx", settings={"max_num_seqs": 8})


def run(scenario, **changes):
    async def with_engine():
        engine = OnnxEngine(EngineSettings(DEMO_MODEL, **{"max_num_seqs": 8, **changes}))
        await engine.load()
        try:
            await scenario(engine)
        finally:
            await engine.unload()

    asyncio.run(with_engine())


def test_a_long_prompt_is_read_whole_or_in_pieces_to_the_same_answer():
    question = "Count from 1 to 9. " * 150

    async def scenario(engine):
        alone = text_of(await collect(engine, ask(question, max_tokens=20, ignore_eos=True)))
        company = asyncio.create_task(
            collect(engine, ask("Hello", max_tokens=400, ignore_eos=True))
        )
        await asyncio.sleep(0.05)
        chunks = await collect(engine, ask(question, max_tokens=20, ignore_eos=True))
        assert chunks[0].prompt.num_tokens > 1000
        assert text_of(chunks) == alone
        await company

    run(scenario)


def test_logprobs_belong_to_their_tokens():
    async def scenario(engine):
        chunks = await collect(engine, ask("What is the capital of France?", logprobs=3))
        listed = [logprob for chunk in chunks for logprob in chunk.logprobs or ()]
        assert "".join(each.text for each in listed) == text_of(chunks)
        assert all(each.logprob == pytest.approx(each.top[0][2]) for each in listed)
        assert all(len(each.top) == 3 for each in listed)

    run(scenario)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data_type": "bfloat16"}, "data_type: .* set data_type: int8"),
        ({"max_model_len": 10**6}, "max_model_len"),
        ({"kv_cache_bytes": 2**50}, "kv_cache_bytes: .* lower it"),
    ],
)
def test_settings_that_cannot_work_are_named(changes, words):
    with pytest.raises(ConfigError, match=words):
        run(None, **changes)


def test_a_model_that_was_not_converted_says_how(tmp_path):
    with pytest.raises(ConfigError, match="anynode convert"):
        asyncio.run(OnnxEngine(EngineSettings(tmp_path)).load())
