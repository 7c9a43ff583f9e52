"""The graph with our own operators is the same model as the one with ONNX Runtime's."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from serving.conversion.blocks_int4 import quantize_to_int4
from serving.conversion.own_operators import use_own_operators
from serving.conversion.per_row_int8 import quantize_products
from serving.conversion.step_graph import make_step_graph
from tests.serving.conversion.test_verify_graph import IDS, make, opened, quantized, set_attributes
from tests.serving.conversion.toy_graph import HEAD_DIM
from tests.serving.kernels.small_graphs import needs_kernels

# Root mean square, of the logits' spread: ours remembers keys and values in float16, which moves
# some activations to the next integer; int4's it rounds by the row, ONNX Runtime by the block.
CLOSE = 0.05


@needs_kernels
@pytest.mark.parametrize("data_type", ["int8", "int4"])
@pytest.mark.parametrize(
    "words",
    [
        {},
        {"packed": False},
        {"do_rotary": 0},
        {"rotary_interleaved": 1},
        {"local_window_size": 3, "softcap": 2.0, "scale": 0.7, "packed": False},
    ],
    ids=str,
)
def test_it_says_what_onnx_runtimes_says(tmp_path, words, data_type):
    words = {"data_type": data_type, **words}
    folder = make(tmp_path, "toy", verifying=True, own=True, **words)
    ours, theirs = opened(folder, own_kernels=True), opened(folder)
    assert ours.kernels == "our own (AVX512-VNNI)"
    for length in (1, 2, 20, 31):
        expected = theirs.prefill(0, IDS[:length], 0, all_logits=True)
        got = ours.prefill(0, IDS[:length], 0, all_logits=True)
        assert np.sqrt(np.square(got - expected).mean()) < CLOSE * expected.std()
    for decoder in (ours, theirs):
        decoder.close()


@needs_kernels
def test_prompts_decoding_and_verifying_are_the_same_to_the_bit(tmp_path):
    decoder = opened(make(tmp_path, "toy", verifying=True, own=True), own_kernels=True)
    whole = decoder.prefill(0, IDS[:24], 0, all_logits=True).copy()
    decoder.prefill(0, IDS[:10], 0, all_logits=False)
    for at in range(10, 16):
        decoded = decoder.decode(IDS[at : at + 1], np.array([at]))
        np.testing.assert_array_equal(decoded[0], whole[at])
    np.testing.assert_array_equal(decoder.verify(IDS[16:24], 16), whole[16:])
    decoder.close()


def operators(graph) -> Counter[str]:
    return Counter(node.op_type for node in graph.nodes)


def test_all_products_and_attentions_are_ours_and_nothing_rounds_for_them(graph):
    assert use_own_operators(quantized(graph), HEAD_DIM)
    found = operators(graph)
    assert (found["RowInt8MatMul"], found["RowsAttention"]) == (6, 1)
    assert not {"MatMulIntegerToFloat", "QuantizeLinear", "ReduceMax"} & set(found)
    assert "total_sequence_length" not in graph.inputs


def test_int4_products_whose_blocks_do_not_cover_their_weights_stay(graph):
    make_step_graph(graph)
    quantize_to_int4(graph)
    product = next(node for node in graph.nodes if node.op_type == "MatMulNBits")
    next(each for each in product.attribute if each.name == "K").i -= 1
    before = operators(graph)["MatMulNBits"]
    assert use_own_operators(graph, HEAD_DIM)
    assert (before, operators(graph)["MatMulNBits"]) == (5, 1)


@pytest.mark.parametrize("change", ["an input", "an attribute", "the head's width"])
def test_a_graph_with_attention_of_another_kind_is_left_alone(graph, change):
    make_step_graph(graph)
    quantize_products(graph)
    attention = next(node for node in graph.nodes if node.op_type == "GroupQueryAttention")
    if change == "an input":
        attention.input.extend(["", "", "sinks"])
    if change == "an attribute":
        set_attributes(attention, {"smooth_softmax": 1})
    before = operators(graph)
    assert not use_own_operators(graph, 24 if change == "the head's width" else HEAD_DIM)
    assert operators(graph) == before


def test_a_variant_is_rewritten_without_the_graph_it_is_of(graph):
    quantized(graph)
    graph.settle()
    before, variant = operators(graph), graph.variant()
    use_own_operators(variant, HEAD_DIM)
    assert operators(graph) == before
    assert "total_sequence_length" in graph.inputs
