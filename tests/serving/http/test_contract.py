"""The HTTP contract on the echo engine, with and without coalescing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serving.engines.echo import EchoEngine
from serving.http.auth import ApiKeys
from tests.contract.http_contract import *  # noqa: F403
from tests.contract.http_contract import Endpoint
from tests.serving.http.live import MODEL, live


@pytest.fixture(scope="module", params=[0, 20])
def endpoint(request: pytest.FixtureRequest) -> Iterator[Endpoint]:
    keys = ApiKeys.from_environment({"ANYNODE_API_KEY": "secret"})
    with live(keys=keys, coalesce_ms=request.param) as replica:
        yield Endpoint(replica.base_url, MODEL, "secret", EchoEngine.capabilities)
