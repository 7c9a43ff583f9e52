"""The engine contract on the optimum engine."""

from __future__ import annotations

import pytest

from tests.contract.engine_contract import *  # noqa: F403
from tests.contract.engine_contract import Case


@pytest.fixture
def case(converted):
    return Case("optimum", model=converted)
