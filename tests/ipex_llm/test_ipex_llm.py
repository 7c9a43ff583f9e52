"""The engine: what it says of itself, and settings and folders that cannot work."""

from __future__ import annotations

import asyncio
import gc
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from serving.engines.ipex_llm import WARNING, IpexLlmEngine
from serving.errors import ConfigError
from serving.types import EngineSettings
from tests.contract.engine_contract import collect, request, text_of
from tests.ipex_llm.conftest import FOLDERS


def run(folder, scenario=None, **changes):
    async def with_engine():
        engine = IpexLlmEngine(EngineSettings(folder, **{"max_model_len": 256, **changes}))
        await engine.load()
        try:
            return None if scenario is None else await scenario(engine)
        finally:
            await engine.unload()

    return asyncio.run(with_engine())


def test_it_warns_of_itself(converted, caplog):
    caplog.set_level(logging.INFO)
    run(converted)
    assert WARNING in caplog.messages
    assert "LlamaForCausalLM is decoded all rows together" in caplog.messages
    assert "archived" in WARNING and "security issues" in WARNING and "openvino" in WARNING


def test_the_log_stays_as_it_was_set_up(converted):
    """The library sets up the root logger when it is imported first."""
    folder = converted / FOLDERS["int8"]
    program = (
        "import logging\n"
        "from pathlib import Path\n"
        "from serving.engines.ipex_llm_model import load\n"
        f"load(Path({str(folder)!r}), trust_remote_code=False, num_threads=1)\n"
        "print(logging.getLogger().handlers, logging.getLogger().level == logging.WARNING)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[] True\n", "")


def test_it_can_be_loaded_again(converted):
    async def scenario():
        engine = IpexLlmEngine(EngineSettings(converted, max_model_len=256))
        answers = []
        for _ in range(2):
            await engine.load()
            answers.append(text_of(await collect(engine, request())))
            await engine.unload()
        assert answers[0] == answers[1] != ""

    asyncio.run(scenario())


def test_several_run_at_once(converted):
    async def scenario(engine):
        running = [
            asyncio.create_task(collect(engine, request(f"{word} " * 4, max_tokens=20)))
            for word in "abcd"
        ]
        most = 0
        while not all(task.done() for task in running):
            most = max(most, engine.occupancy().num_running)
            await asyncio.sleep(0.002)
        assert most == 4
        assert all(text_of(task.result()) for task in running)

    run(converted, scenario, max_num_seqs=4)


def test_memory_is_given_back(converted):
    run(converted)  # what the libraries keep for themselves
    gc.collect()
    before = psutil.Process().memory_info().rss
    for _ in range(3):
        run(converted)
    assert psutil.Process().memory_info().rss - before < 3 * 5_000_000


@pytest.fixture
def copy(converted, tmp_path) -> Path:
    return Path(shutil.copytree(converted, tmp_path / "model"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data_type": "bfloat16"}, "data_type: .* choose one of int8, int4"),
        ({"engine_kwargs": {"cpu_embedding": True}}, "no option 'cpu_embedding'"),
        ({"max_model_len": 10**6}, "max_model_len: .* from 1 to"),
        ({"kv_cache_bytes": 2**50}, "kv_cache_bytes: .* lower it"),
    ],
)
def test_settings_that_cannot_work_are_named(converted, changes, words):
    with pytest.raises(ConfigError, match=words):
        run(converted, **changes)


@pytest.mark.parametrize("kept", [1000, None])
def test_low_bit_weights_cut_short(copy, kept):
    weights = copy / "ipex-llm" / "model.safetensors"
    weights.unlink() if kept is None else weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(ConfigError, match=r"cannot load .*ipex-llm .*delete that folder"):
        run(copy)


def test_weights_that_do_not_fit(copy, monkeypatch):
    monkeypatch.setattr("serving.memory.available_bytes", lambda: 1_000)
    with pytest.raises(ConfigError, match=r"only 0\.0 GB of memory are free"):
        run(copy)


def test_a_missing_tokenizer_is_named(copy):
    for path in [*copy.glob("model.safetensors"), *(copy / "ipex-llm").glob("tokenizer*")]:
        path.unlink()
    with pytest.raises(ConfigError, match=r"no readable tokenizer .* copy tokenizer\.json"):
        run(copy)


def test_low_bit_weights_alone_are_enough(copy):
    (copy / "model.safetensors").unlink()
    run(copy)
