"""Measured speeds of engines: kept beside the model, read back, and the fastest found."""

from __future__ import annotations

import pytest

from serving.cpu.engine_speeds import (
    SPEEDS_FILE,
    EngineSpeed,
    EngineSpeeds,
    read_speeds,
    write_speeds,
)
from serving.errors import ConfigError

SPEEDS = EngineSpeeds(
    processor="AMD EPYC",
    num_threads=2,
    measured_at="2026-11-26T17:07:33+00:00",
    speeds=(
        EngineSpeed("onnx", "int8", {1: 50.0, 8: 160.0}),
        EngineSpeed("onnx", "int4", {1: 60.0, 8: 140.0}),
        EngineSpeed("openvino", "int8", {1: 38.0, 8: 180.0}),
    ),
)


def usable(*engines):
    return lambda engine: engine in engines


def test_they_are_read_as_they_were_written(tmp_path):
    assert write_speeds(tmp_path, SPEEDS).name == SPEEDS_FILE
    assert read_speeds(tmp_path) == SPEEDS


def test_where_nothing_was_measured_there_is_nothing(tmp_path):
    assert read_speeds(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"speeds": [{}]}', '{"speeds": 3}'])
def test_another_file_is_refused_with_the_way_out(tmp_path, text):
    (tmp_path / SPEEDS_FILE).write_text(text)
    with pytest.raises(ConfigError, match="delete it or measure again"):
        read_speeds(tmp_path)


@pytest.mark.parametrize(
    ("concurrency", "engines", "fastest"),
    [
        (1, ("onnx", "openvino"), ("onnx", "int4")),
        (8, ("onnx", "openvino"), ("openvino", "int8")),
        (32, ("onnx", "openvino"), ("openvino", "int8")),  # nearest is 8
        (8, ("onnx",), ("onnx", "int8")),
    ],
)
def test_the_fastest_at_the_nearest_concurrency(concurrency, engines, fastest):
    found = SPEEDS.fastest(concurrency, usable(*engines))
    assert (found.engine, found.data_type) == fastest


def test_none_where_none_can_be_used():
    assert SPEEDS.fastest(1, usable("transformers")) is None


def test_why_is_said_in_figures():
    found = SPEEDS.fastest(30, usable("openvino"))
    assert SPEEDS.describe(found, 30) == (
        "180 tokens/s at 8 requests at once, the most of 3 measured on AMD EPYC with 2 threads"
    )
