"""Int4 products: as close as four bits allow, blind to neighbours, eight bits where they matter."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from serving.conversion.blocks_int4 import (
    BLOCK,
    MAX_LOSS,
    dequantize,
    loss,
    quantize_to_int4,
    quantize_weight,
)
from serving.conversion.manifest import GRAPH_FILE
from serving.conversion.step_graph import make_step_graph
from tests.serving.conversion.conftest import run_fp32, run_steps
from tests.serving.conversion.toy_graph import HIDDEN, VOCAB

IDS = np.random.default_rng(1).integers(0, VOCAB, (4, 7))
EVERY = list(range(IDS.size))


@pytest.fixture
def int4(graph, tmp_path):
    make_step_graph(graph)
    quantize_to_int4(graph)
    graph.save()
    return tmp_path / "made" / GRAPH_FILE


def test_logits_stay_as_close_to_fp32_as_four_bits_allow(int4, source):
    wanted = run_fp32(source, IDS).reshape(-1, VOCAB)
    error = run_steps(int4, IDS, EVERY) - wanted
    assert 0.01 * wanted.std() < np.sqrt((error**2).mean()) < 0.5 * wanted.std()


def test_a_row_is_the_same_alone_and_among_neighbours(int4):
    together = run_steps(int4, IDS, EVERY).reshape(*IDS.shape, VOCAB)
    for row, ids in enumerate(IDS):
        alone = run_steps(int4, ids[None], list(range(7)))
        np.testing.assert_array_equal(alone, together[row])


def test_the_head_keeps_eight_bits(graph):
    make_step_graph(graph)
    num_bytes, words = quantize_to_int4(graph)
    operators = Counter(node.op_type for node in graph.nodes)
    assert (operators["MatMulNBits"], operators["MatMulIntegerToFloat"]) == (5, 1)
    assert "int8 for 1 of 6 products" in words
    assert num_bytes < sum(each.nbytes for each in map(graph.array, graph.weights))


def test_a_matrix_with_outliers_keeps_eight_bits(graph):
    make_step_graph(graph)
    node = next(node for node in graph.nodes if node.name == "gate_proj")
    wild = np.full_like(graph.array(node.input[1]), 3)
    wild[::BLOCK] = 50  # beside it, all else in its block is rounded to nothing
    node.input[1] = graph.add_weight("wild", wild)
    _, words = quantize_to_int4(graph)
    kept = [node.name for node in graph.nodes if node.op_type == "MatMulIntegerToFloat"]
    assert loss(wild, dequantize(*quantize_weight(wild), HIDDEN)) > MAX_LOSS
    assert "gate_proj" in kept
    assert "int8 for 2 of 6 products" in words


matrices = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 80), st.integers(1, 5)),
    elements=st.floats(-1000, 1000, width=32, allow_subnormal=False),
)


@settings(deadline=None)
@given(matrices)
def test_no_value_moves_more_than_its_blocks_scale(weight):
    nibbles, scales = quantize_weight(weight)
    assert nibbles.max(initial=0) < 16
    moved = np.abs(dequantize(nibbles, scales, len(weight)) - weight)
    widest = np.abs(scales).repeat(BLOCK, axis=1)[:, : len(weight)].T
    assert (moved <= widest * 1.01 + 1e-6).all()


def test_the_largest_of_a_block_is_kept_exactly():
    weight = np.random.default_rng(0).standard_normal((BLOCK, 3)).astype(np.float32)
    rounded = dequantize(*quantize_weight(weight), BLOCK)
    at = np.abs(weight).argmax(axis=0)
    np.testing.assert_allclose(rounded[at, range(3)], weight[at, range(3)], rtol=1e-6)
