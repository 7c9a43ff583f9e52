"""Int8 products: close to fp32, blind to neighbours, one quantisation for each x."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from serving.conversion.manifest import GRAPH_FILE
from serving.conversion.per_row_int8 import quantize_products, quantize_weight
from serving.conversion.step_graph import make_step_graph
from tests.serving.conversion.conftest import run_fp32, run_steps
from tests.serving.conversion.toy_graph import FFN, HEAD_DIM, HEADS, HIDDEN, PACKED, VOCAB

IDS = np.random.default_rng(1).integers(0, VOCAB, (4, 7))
EVERY = list(range(IDS.size))


@pytest.fixture
def int8(graph, tmp_path):
    make_step_graph(graph)
    quantize_products(graph)
    graph.save()
    return tmp_path / "made" / GRAPH_FILE


def test_logits_stay_close_to_fp32(int8, source):
    wanted = run_fp32(source, IDS).reshape(-1, VOCAB)
    error = run_steps(int8, IDS, EVERY) - wanted
    assert np.sqrt((error**2).mean()) < 0.05 * wanted.std()


def test_a_row_is_the_same_alone_and_among_neighbours(int8):
    together = run_steps(int8, IDS, EVERY).reshape(*IDS.shape, VOCAB)
    for row, ids in enumerate(IDS):
        alone = run_steps(int8, ids[None], list(range(7)))
        np.testing.assert_array_equal(alone, together[row])


def test_products_that_share_an_input_share_its_quantisation(graph):
    make_step_graph(graph)
    quantize_products(graph)
    operators = Counter(node.op_type for node in graph.nodes)
    assert operators["MatMul"] == 0
    assert operators["MatMulIntegerToFloat"] == 6  # qkv, o, gate, up, down, head
    assert operators["QuantizeLinear"] == 5  # gate and up share theirs


def test_the_bytes_of_a_step_are_those_of_the_products(graph):
    make_step_graph(graph)
    shapes = [(HIDDEN, PACKED), (HEADS * HEAD_DIM, HIDDEN), (HIDDEN, FFN), (HIDDEN, FFN)]
    shapes += [(FFN, HIDDEN), (HIDDEN, VOCAB)]
    wanted = sum(rows * columns + 4 * columns for rows, columns in shapes)
    assert quantize_products(graph) == wanted


def test_fp32_weights_are_left_behind(int8, source):
    made = int8.with_name("model.onnx.data").stat().st_size
    # Each weight starts on a page of its own, which a toy's weights do not fill.
    assert made < source.with_name("model.onnx.data").stat().st_size / 2


def test_narrow_products_are_left_alone(graph):
    make_step_graph(graph)
    router = next(node for node in graph.nodes if node.name == "gate_proj")
    router.input[1] = graph.add_weight("router", np.ones((HIDDEN, 8), np.float32))
    quantize_products(graph)
    assert [node.name for node in graph.nodes if node.op_type == "MatMul"] == ["gate_proj"]


matrices = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=8),
    elements=st.floats(-1000, 1000, width=32, allow_subnormal=False),
)


@given(matrices)
@settings(deadline=None)
def test_a_weight_is_off_by_at_most_half_a_step(weight):
    quantized, scale = quantize_weight(weight)
    assert quantized.dtype == np.int8
    assert np.isfinite(scale).all()
    assert (scale > 0).all()
    assert (np.abs(quantized * scale - weight) <= scale * 0.501).all()


def test_a_column_of_zeros_stays_zero():
    quantized, scale = quantize_weight(np.zeros((4, 2), np.float32))
    assert not quantized.any()
    assert (scale == 1).all()
