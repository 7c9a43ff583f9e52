"""The engine contract on the ipex_llm engine, in both of its data types."""

from __future__ import annotations

import pytest

from tests.contract.engine_company import *  # noqa: F403
from tests.contract.engine_contract import *  # noqa: F403
from tests.contract.engine_contract import Case
from tests.contract.engine_exam import *  # noqa: F403
from tests.ipex_llm.conftest import FOLDERS


@pytest.fixture(params=FOLDERS)
def case(request, converted):
    return Case("ipex_llm", model=converted, settings={"data_type": request.param})
