"""The engine contract on the transformers engine, in each way it computes."""

from __future__ import annotations

import pytest

from tests.contract.engine_contract import *  # noqa: F403
from tests.contract.engine_contract import Case

DATA_TYPES = ("int8", "int4", "bfloat16", "float32")


@pytest.fixture(params=DATA_TYPES)
def case(request):
    return Case("transformers", settings={"data_type": request.param})
