"""Checkpoints of random weights are the same every time, and stand four bits."""

from __future__ import annotations

import numpy as np

from scripts.make_random_checkpoint import SHAPES, weights
from serving.conversion.blocks_int4 import dequantize, quantize_weight

TINY = SHAPES["tiny"]


def test_four_bits_keep_every_matrix():
    for name, weight in weights(TINY):
        if weight.ndim == 2:
            matrix = weight.astype(np.float32).T
            assert np.array_equal(dequantize(*quantize_weight(matrix), len(matrix)), matrix), name


def test_they_are_spread_as_a_models_are():
    spread = {name: float(weight.std()) for name, weight in weights(TINY) if weight.ndim == 2}
    assert all(0.015 < each < 0.03 for each in spread.values()), spread
    assert all(abs(float(weight.mean())) < 0.002 for _, weight in weights(TINY) if weight.ndim == 2)


def test_a_shape_is_always_the_same_file():
    for (name, first), (_, second) in zip(weights(TINY), weights(TINY), strict=True):
        assert np.array_equal(first, second), name
