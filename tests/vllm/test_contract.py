"""The HTTP contract on the real vLLM."""

from __future__ import annotations

import pytest

from tests.contract.http_contract import Endpoint
from tests.vllm.http_contract import *  # noqa: F403
from tests.vllm.served import MODEL, Served


@pytest.fixture(scope="module")
def endpoint(served: Served) -> Endpoint:
    return Endpoint(f"{served.url}/v1", MODEL)
