"""What conversion decides without converting anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.conversion.genai import BuiltModel
from serving.conversion.to_onnx import context_length

BUILT = BuiltModel(
    graph=Path("model.onnx"),
    num_layers=2,
    num_kv_heads=2,
    head_dim=16,
    vocab_size=96,
    context_length=32_768,
    eos_token_ids=(2,),
)


@pytest.mark.parametrize(
    ("checkpoint", "windowed", "length"),
    [
        ({}, False, 32_768),
        ({"sliding_window": None}, False, 32_768),
        ({"sliding_window": 4096}, False, 4096),  # Mistral, whose window the builder leaves out
        ({"sliding_window": 4096}, True, 32_768),  # Gemma, whose graph has the window
        ({"sliding_window": 4096, "use_sliding_window": False}, False, 32_768),  # Qwen
        ({"sliding_window": 65_536}, False, 32_768),
    ],
)
def test_a_model_is_served_as_far_as_its_graph_is_the_model(checkpoint, windowed, length):
    assert context_length(checkpoint, BUILT, windowed) == length
