"""Which engine a name stands for, by the model it is to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.cpu.auto_engine import LIBRARIES
from serving.cpu.engines import KNOWN, WHY, actual_engine
from tests.contract.embedder_contract import TINY_ENCODER
from tests.contract.engine_contract import DEMO_MODEL


@pytest.mark.parametrize(
    ("name", "folder", "actual"),
    [
        ("onnx", DEMO_MODEL, "onnx"),
        ("onnx", TINY_ENCODER, "onnx_embeddings"),
        ("onnx_embeddings", TINY_ENCODER, "onnx_embeddings"),
        ("echo", TINY_ENCODER, "echo"),
        ("mine:Engine", TINY_ENCODER, "mine:Engine"),
        ("onnx", Path("/no/such/folder"), "onnx"),
    ],
)
def test_a_sentence_encoder_embeds(name, folder, actual):
    assert actual_engine(name, folder) == actual


def test_what_only_the_device_calls_for_gives_way_to_the_model():
    assert actual_engine("openvino", TINY_ENCODER, named=False) == "onnx_embeddings"
    assert actual_engine("openvino", TINY_ENCODER) == "openvino"
    assert actual_engine("openvino", DEMO_MODEL, named=False) == "openvino"


def test_an_image_with_ipex_llm_was_built_to_use_it(monkeypatch):
    monkeypatch.setitem(LIBRARIES, "ipex_llm", "json")  # a module that is there
    assert actual_engine("openvino", DEMO_MODEL, named=False) == "ipex_llm"
    assert actual_engine("openvino", TINY_ENCODER, named=False) == "onnx_embeddings"
    assert actual_engine("openvino", DEMO_MODEL) == "openvino"
    assert actual_engine("onnx", DEMO_MODEL, named=False) == "onnx"
    assert {"ipex_llm", "onnx_embeddings"} <= WHY.keys()


def test_every_engine_is_known_once():
    assert {"onnx", "echo", "onnx_embeddings"} <= KNOWN.keys()
