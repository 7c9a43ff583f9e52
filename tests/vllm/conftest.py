"""Real vLLMs behind our house on loopback ports: two for the whole run, others for one test file.

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
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.vllm.served import (
    ADAPTER,
    DEMO_MODEL,
    MAX_INPUT_LEN,
    MAX_MODEL_LEN,
    MAX_NUM_SEQS,
    MODEL,
    ROOT,
    VLLM_ENVIRONMENT,
    Served,
)

if TYPE_CHECKING:
    from tests.vllm.adapter import Adapter

collect_ignore_glob = [] if find_spec("vllm") else ["test_*.py"]

SETTINGS = {
    "max_num_seqs": MAX_NUM_SEQS,
    "max_model_len": MAX_MODEL_LEN,
    "max_input_len": MAX_INPUT_LEN,
    "gpu_memory_utilization": 0.2,
    "engine_kwargs": {"enforce_eager": True},
}
ENVIRONMENT = {**VLLM_ENVIRONMENT, "VLLM_CPU_KVCACHE_SPACE": "1"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole applications first, while no engine of the other tests runs beside their replicas."""
    items.sort(key=lambda item: "vllm/test_serve.py" not in item.nodeid)


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


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    """A LoRA adapter for the demo checkpoint."""
    from tests.vllm.adapter import (
        save_adapter,
    )  # imports torch, which is only in vLLM's environment

    return save_adapter(tmp_path_factory.mktemp("adapter"))


@pytest.fixture(scope="session")
def rich(adapter: Adapter) -> Iterator[Served]:
    """One that is told much: an adapter, a tool parser, prompts of any length. In 32 bits, so that
    its greedy answers are the reference's, word for word.
    """
    kwargs = {"enable_auto_tool_choice": True, "tool_call_parser": "hermes"}
    with replica(
        max_input_len=None,
        data_type="float32",
        lora_adapters={ADAPTER: str(adapter.folder)},
        engine_kwargs={"enforce_eager": True, **kwargs},
    ) as running:
        yield running
