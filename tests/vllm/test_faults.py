"""Replicas that cannot start, and one whose engine is killed."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.vllm.conftest import MODEL, Refused, replica


def test_a_folder_without_a_model_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="vLLM could not start: "), replica(tmp_path):
        pass


def test_a_killed_engine_is_told_to_callers_and_to_health() -> None:
    with replica() as served, ThreadPoolExecutor(1) as pool:
        running = pool.submit(served.ask, max_tokens=900, ignore_eos=True)
        time.sleep(0.3)
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
