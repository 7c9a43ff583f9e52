"""The engine on the demo model: right answers, one at a time, and folders that cannot work."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from serving.engines.optimum import OptimumEngine
from serving.engines.optimum_decoder import OptimumDecoder
from serving.errors import ConfigError
from serving.types import EngineSettings, GenerateRequest, Message, SamplingParams
from tests.contract.engine_contract import DEMO_MODEL, collect, text_of

QUESTIONS = [json.loads(line) for line in (DEMO_MODEL / "eval.jsonl").read_text().splitlines()]
LEAST_RIGHT = 0.9  # the default engine gets 94 % of these


def ask(question, **params):
    params = {"max_tokens": 100, "temperature": 0.0, **params}
    return GenerateRequest("test", (Message("user", question),), SamplingParams(**params))


def run(scenario, folder, **changes):
    async def with_engine():
        engine = OptimumEngine(EngineSettings(folder, **{"max_num_seqs": 8, **changes}))
        await engine.load()
        try:
            return await scenario(engine)
        finally:
            await engine.unload()

    return asyncio.run(with_engine())


def test_it_answers_what_it_was_taught(converted):
    async def scenario(engine):
        answers = await asyncio.gather(*(collect(engine, ask(q["question"])) for q in QUESTIONS))
        right = [
            q["expect"].lower() in text_of(chunks).lower()
            for q, chunks in zip(QUESTIONS, answers, strict=True)
        ]
        print(f"{sum(right)} of {len(right)} right")
        assert sum(right) / len(right) >= LEAST_RIGHT
        assert "Paris" in text_of(await collect(engine, ask("What is the capital of France?")))

    run(scenario, converted)


def test_one_runs_and_the_rest_wait(converted):
    async def scenario(engine):
        requests = [ask(q["question"], ignore_eos=True, max_tokens=20) for q in QUESTIONS[:4]]
        running = [asyncio.create_task(collect(engine, each)) for each in requests]
        most = 0
        while not all(task.done() for task in running):
            most = max(most, engine.occupancy().num_running)
            await asyncio.sleep(0.002)
        assert most == 1

    run(scenario, converted)


def test_a_long_prompt_gives_the_same_answer_whoever_waits(converted):
    """Its pieces are always the same: an int8 scale belongs to all that is read together."""
    question = ask("Count from 1 to 9. " * 150, max_tokens=20, ignore_eos=True)

    async def scenario(engine):
        alone = await collect(engine, question)
        assert alone[0].prompt.num_tokens > 1000
        others = [asyncio.create_task(collect(engine, ask("Hello"))) for _ in range(3)]
        assert text_of(await collect(engine, question)) == text_of(alone)
        await asyncio.gather(*others)

    run(scenario, converted)


def open_decoder(folder, **changes):
    settings = {"max_model_len": 64, "num_threads": 1, "trust_remote_code": False, **changes}
    return OptimumDecoder(folder / "optimum", **settings)


def test_decoding_goes_on_where_a_prompt_ended(converted):
    decoder = open_decoder(converted)
    tokens = np.random.default_rng(0).integers(3, 2000, 20)
    whole = decoder.prefill(0, tokens, 0, all_logits=True).copy()
    assert whole.shape == (20, decoder.vocab_size)
    decoder.prefill(1, tokens[:-1], 0, all_logits=False)
    decoder.move_row(1, 0, 19)
    decoder.release_row(1)
    step = decoder.decode(tokens[-1:], np.array([19]))[0]
    assert np.abs(step - whole[-1]).max() < 0.5 * whole[-1].std()  # other scales: near, not equal
    config = json.loads((converted / "config.json").read_text())
    heads, width = config["num_key_value_heads"], config["head_dim"]
    assert decoder.kv_bytes_per_token == 4 * 2 * config["num_hidden_layers"] * heads * width
    decoder.close()
    decoder.close()


@pytest.fixture
def copy(converted, tmp_path) -> Path:
    return Path(shutil.copytree(converted, tmp_path / "model"))


def refuse(folder, words, **changes):
    with pytest.raises(ConfigError, match=words):
        run(None, folder, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data_type": "bfloat16"}, "data_type: .* set data_type: int8"),
        ({"max_model_len": 10**6}, "max_model_len: .* from 1 to"),
        ({"kv_cache_bytes": 2**50}, "kv_cache_bytes: .* lower it"),
    ],
)
def test_settings_that_cannot_work_are_named(converted, changes, words):
    refuse(converted, words, **changes)


def test_a_model_that_was_not_converted_says_how(tmp_path):
    refuse(tmp_path, f"anynode convert {tmp_path} --engine optimum")


def test_a_graph_cut_short(copy):
    graph = copy / "optimum" / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:1000])
    refuse(copy, "Optimum cannot load .* again")


def test_weights_that_do_not_fit(copy, monkeypatch):
    monkeypatch.setattr("serving.memory.available_bytes", lambda: 1_000)
    refuse(copy, r"only 0\.0 GB of memory are free")


def test_a_missing_tokenizer_is_named(copy):
    for path in (copy / "optimum").glob("tokenizer*"):
        path.unlink()
    refuse(copy, r"no readable tokenizer .* copy tokenizer\.json")
