"""The HTTP contract, and what vLLM and our house promise beside it, on one GPU behind HAProxy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.http_contract import Endpoint
from tests.gpu.serving import config_file, serving
from tests.vllm.http_contract import *  # noqa: F403
from tests.vllm.request_contract import *  # noqa: F403
from tests.vllm.served import (
    MAX_INPUT_LEN,
    MAX_MODEL_LEN,
    MAX_NUM_SEQS,
    MAX_QUEUED_REQUESTS,
    MODEL,
    Served,
)


@pytest.fixture(scope="module")
def served(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    config = config_file(
        tmp_path_factory.mktemp("config"),
        # Greedy answers are compared: float16 has eight times fewer ties than bfloat16.
        data_type="float16",
        batch_size=MAX_NUM_SEQS,
        max_model_len=MAX_MODEL_LEN,
        max_input_len=MAX_INPUT_LEN,
        max_queued_requests=MAX_QUEUED_REQUESTS,
        gpu_memory_utilization=0.3,
    )
    began = time.monotonic()
    with serving(config, home) as server:
        yield Served(server.port, time.monotonic() - began, server.process.pid)


@pytest.fixture(scope="module")
def endpoint(served: Served) -> Endpoint:
    return Endpoint(f"{served.url}/v1", MODEL)
