"""The HTTP contract on the demo model, over Ray Serve, behind each proxy."""

from __future__ import annotations

import pytest

from tests.contract.http_contract import *  # noqa: F403
from tests.contract.http_contract import Endpoint
from tests.inference.running import Running


@pytest.fixture(scope="session")
def endpoint(two: Running) -> Endpoint:
    return Endpoint(f"{two.url}/cpu/v1", "anynode-demo")
