"""What is made of a checkpoint appears whole, once, beside it."""

from __future__ import annotations

import json
import shutil

import pytest

from bench.cpu import weights
from bench.cpu.weights import Weights
from bench.models import ROOT


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "some"
    folder.mkdir()
    for path in (ROOT / "models" / "anynode-demo").glob("*.*"):
        shutil.copy(path, folder)
    return folder


def test_old_words_are_beside_the_same_weights(checkpoint):
    place = weights.ready(checkpoint, "transformers4")
    assert place == checkpoint.with_name("some-transformers4")
    config = json.loads((place / "config.json").read_text())
    assert "rope_parameters" not in config
    assert config["rope_theta"]
    original = checkpoint / "model.safetensors"
    assert (place / "model.safetensors").stat().st_ino == original.stat().st_ino
    made = place.stat().st_mtime_ns
    assert weights.ready(checkpoint, "transformers4").stat().st_mtime_ns == made


def test_places_are_where_engines_look(checkpoint):
    for name, folder in {
        "checkpoint": "some",
        "onnx-int8": "some/onnx",
        "onnx-int4": "some/onnx-int4",
        "vllm-int8": "some/vllm",
        "gguf-q8_0": "some/gguf",
        "genai-int4": "some-genai-int4",
    }.items():
        assert weights.WEIGHTS[name].place(checkpoint) == checkpoint.parent / folder


def test_what_is_there_is_not_made_again(checkpoint, monkeypatch):
    made = []
    told = Weights(lambda model: model / "x", lambda model, place: made.append(place.mkdir()))
    monkeypatch.setitem(weights.WEIGHTS, "x", told)
    assert weights.ready(checkpoint, "x") == weights.ready(checkpoint, "x") == checkpoint / "x"
    assert len(made) == 1
    assert weights.ready(checkpoint, None) == checkpoint
