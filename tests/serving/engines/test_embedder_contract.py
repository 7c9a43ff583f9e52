"""The embedder contract on every embedder we ship."""

from __future__ import annotations

import pytest

from serving.embedder import EMBEDDERS
from tests.contract.embedder_contract import *  # noqa: F403
from tests.contract.embedder_contract import Case


@pytest.fixture(params=EMBEDDERS)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)
