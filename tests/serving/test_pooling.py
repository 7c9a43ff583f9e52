"""Vectors of texts from hidden states: what is padding counts for nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.pooling import POOLINGS, finish

HIDDEN = np.array(
    [
        [[1, 2], [3, 8], [5, 5]],
        [[4, -4], [9, 9], [9, 9]],  # one token, the rest is padding
    ],
    np.float32,
)
LENGTHS = np.array([3, 1])


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", [[3, 5], [4, -4]]),
        ("cls", [[1, 2], [4, -4]]),
        ("lasttoken", [[5, 5], [4, -4]]),
        ("max", [[5, 8], [4, -4]]),
    ],
)
def test_each_pooling(pooling, expected):
    np.testing.assert_array_equal(POOLINGS[pooling](HIDDEN, LENGTHS), np.float32(expected))


@pytest.mark.parametrize("pooling", POOLINGS)
@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_a_text_is_pooled_as_if_it_were_alone(pooling, lengths, seed):
    hidden = np.random.default_rng(seed).standard_normal((len(lengths), 12, 3), np.float32)
    together = POOLINGS[pooling](hidden, np.array(lengths))
    for text, length, vector in zip(hidden, lengths, together, strict=True):
        alone = POOLINGS[pooling](text[None, :length], np.array([length]))[0]
        np.testing.assert_array_equal(alone, vector)


def test_normalised_vectors_are_of_length_one():
    vectors = np.array([[3, 4, 0], [0, 0, 0]], np.float32)
    unit = finish(vectors, None, normalize=True)
    np.testing.assert_allclose(unit, [[0.6, 0.8, 0], [0, 0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(finish(vectors, None, normalize=False), vectors)


def test_a_cut_vector_is_of_length_one_again():
    vectors = np.array([[0.6, 0, 0.8]], np.float32)
    np.testing.assert_allclose(finish(vectors, 2, normalize=True), [[1, 0]], rtol=1e-6)
    np.testing.assert_array_equal(finish(vectors, 2, normalize=False), vectors[:, :2])
