"""Replicas that cannot start, and one whose engine is killed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.vllm.conftest import DEMO_MODEL, MODEL, Refused, replica


def test_a_folder_without_a_model_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"model_name: .* has no config\.json"), replica(tmp_path):
        pass


def test_a_model_without_weights_is_refused_in_one_sentence(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(DEMO_MODEL / name, tmp_path)
    with pytest.raises(Refused, match="vLLM could not start: "), replica(tmp_path):
        pass


def test_an_unknown_type_of_numbers_is_refused_in_one_sentence() -> None:
    with (
        pytest.raises(Refused, match=r"data_type: .*did you mean 'bfloat16'"),
        replica(data_type="bflaot16"),
    ):
        pass


def test_a_killed_engine_is_told_to_callers_and_to_health() -> None:
    with replica() as served, ThreadPoolExecutor(1) as pool:
        running = pool.submit(served.ask, max_tokens=900, ignore_eos=True)
        while not served.gauge("vllm:num_requests_running"):
            time.sleep(0.02)
        [engine] = [
            child
            for child in psutil.Process(served.pid).children()
            if "EngineCore" in "".join(child.cmdline())
        ]
        os.kill(engine.pid, signal.SIGKILL)
        for answer in (running.result(), served.ask(max_tokens=1)):
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "engine_dead"
        health = httpx.get(f"{served.url}/health")
        assert (health.status_code, health.json()["status"]) == (503, "dead")
        assert health.json()["model"] == MODEL
