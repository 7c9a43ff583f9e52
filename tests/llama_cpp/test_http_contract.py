"""The HTTP contract on llama.cpp."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.engines.llama_cpp import LlamaCppEngine
from serving.types import EngineSettings
from tests.contract.http_contract import *  # noqa: F403
from tests.contract.http_contract import Endpoint
from tests.serving.http.live import MODEL, live


@pytest.fixture(scope="module")
def endpoint(q5_k_m: Path) -> Iterator[Endpoint]:
    engine = LlamaCppEngine(EngineSettings(q5_k_m, num_threads=2))
    with live(engine) as replica:
        yield Endpoint(replica.base_url, MODEL, capabilities=engine.capabilities)
