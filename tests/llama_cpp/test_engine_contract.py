"""The engine contract on llama.cpp: with the checkpoint's tokenizer, and with the file's own."""

from __future__ import annotations

import pytest

from tests.contract.engine_contract import *  # noqa: F403
from tests.contract.engine_contract import Case


@pytest.fixture(params=["folder", "file"])
def case(request, checkpoint, q5_k_m):
    if request.param == "file":
        return Case("llama_cpp", model=q5_k_m)
    return Case("llama_cpp", model=checkpoint, engine_kwargs={"gguf_file": "demo-q8_0.gguf"})
