"""One real vLLM behind our house on a loopback port, for the whole run.

Collected only where vLLM is installed, which is in an environment of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

collect_ignore_glob = [] if find_spec("vllm") else ["test_*.py"]

ROOT = Path(__file__).parents[2]
DEMO_MODEL = ROOT / "models" / "anynode-demo"
MODEL = "anynode-demo"
MAX_MODEL_LEN = 1024
SETTINGS = {
    "max_num_seqs": 8,
    "max_model_len": MAX_MODEL_LEN,
    "max_input_len": 200,
    "gpu_memory_utilization": 0.2,
    "engine_kwargs": {"enforce_eager": True},
}
# What a machine without a GPU needs; nothing here may ask the network.
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "HF_HUB_OFFLINE": "1",
}


@dataclass
class Served:
    """What a test needs to know about a running replica."""

    port: int
    startup_s: float
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, path: str, **body: Any) -> httpx.Response:
        return httpx.post(self.url + path, json=body, timeout=120)

    def ask(self, prompt: str | list[Any] = "one two three", **body: Any) -> httpx.Response:
        return self.post("/v1/completions", model=MODEL, prompt=prompt, **body)

    def gauge(self, name: str) -> float:
        """A value of /metrics, over all labels."""
        lines = httpx.get(f"{self.url}/metrics", timeout=10).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{"))


class Refused(Exception):
    """The replica would not start; says what it told the operator."""


@contextmanager
def replica(
    model: Path = DEMO_MODEL, environment: dict[str, str] | None = None, **settings: Any
) -> Iterator[Served]:
    """Serve `model` in a process of its own until the block ends."""
    began = time.monotonic()
    told = [str(model), MODEL, json.dumps({**SETTINGS, **settings})]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.vllm.server", *told],
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    try:
        word, _, rest = said(process).partition(" ")
        if word == "refused":
            raise Refused(rest)
        yield Served(int(rest), time.monotonic() - began, process.pid)
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()


def said(process: subprocess.Popen[str]) -> str:
    """The line meant for us, among those that vLLM's libraries print."""
    assert process.stdout
    for line in process.stdout:
        if line.startswith(("port ", "refused ")):
            return line.strip()
    raise AssertionError(f"the replica ended with status {process.wait()}")


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    with replica() as running:
        print(f"vLLM answered {running.startup_s:.1f} s after its process began")
        yield running
