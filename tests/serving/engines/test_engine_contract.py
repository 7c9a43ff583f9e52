"""The engine contract on every engine that shares our own environment."""

from __future__ import annotations

import asyncio
import sys

import pytest

from serving.engine import create_engine
from serving.errors import ConfigError
from tests.contract.engine_contract import *  # noqa: F403
from tests.contract.engine_contract import Case, settings

CASES = (
    Case("onnx"),
    Case("openvino"),
    Case("echo", engine_kwargs={"tokens_per_s": 2000}, computes=False),
)


@pytest.fixture(params=CASES, ids=lambda each: each.engine)
def case(request):
    return request.param


@pytest.mark.parametrize("engine", ["transformers", "optimum", "ipex_llm"])
def test_an_engine_without_its_library_says_so(engine, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    made = create_engine(engine, settings(CASES[0]))
    with pytest.raises(ConfigError, match="needs the Python module 'torch'"):
        asyncio.run(made.load())


def test_an_unknown_engine_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'onnx'"):
        create_engine("onx", settings(CASES[0]))
    with pytest.raises(ConfigError, match="no_such_module"):
        create_engine("no_such_module:Engine", settings(CASES[0]))
    with pytest.raises(ConfigError, match="no class Nothing"):
        create_engine("serving.errors:Nothing", settings(CASES[0]))
