"""A graph that can verify decodes as before, and verifies to the bit what it decodes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import starmap
from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto, helper, numpy_helper

from serving.conversion.blocks_int4 import quantize_to_int4
from serving.conversion.graph import Graph
from serving.conversion.manifest import OWN_GRAPH_FILE, VERIFY_SIZES, Manifest, write_manifest
from serving.conversion.own_operators import use_own_operators
from serving.conversion.per_row_int8 import quantize_products
from serving.conversion.step_graph import make_step_graph
from serving.conversion.verify_graph import ONE_ROW, add_verification
from serving.engines.onnx_decoder import OnnxDecoder
from tests.serving.conversion.toy_graph import (
    CONTEXT,
    HEAD_DIM,
    HEADS,
    KV_HEADS,
    VOCAB,
    write_toy_graph,
)

QUANTIZE = {"int8": quantize_products, "int4": quantize_to_int4}
IDS = np.random.default_rng(2).integers(0, VOCAB, CONTEXT)


def make(
    tmp_path: Path,
    name: str,
    *,
    verifying: bool,
    own: bool = False,
    data_type: str = "int8",
    packed: bool = True,
    **attributes: float,
) -> Path:
    """The toy's folder as the converter leaves it; `attributes` are its attention's."""
    source, folder = tmp_path / f"{name}-fp32", tmp_path / name
    source.mkdir()
    folder.mkdir()
    with Graph(write_toy_graph(source), folder) as graph:
        make_step_graph(graph)
        attention = next(node for node in graph.nodes if node.op_type == "GroupQueryAttention")
        set_attributes(attention, attributes)
        if not packed:
            unpack(graph, attention)
        QUANTIZE[data_type](graph)
        if own:
            variant = graph.variant()
            assert use_own_operators(variant, HEAD_DIM)
            variant.save(OWN_GRAPH_FILE)
        sizes = add_verification(graph, HEAD_DIM) if verifying else ()
        graph.save()
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    shape = {"num_layers": 1, "num_kv_heads": KV_HEADS, "head_dim": HEAD_DIM, "vocab_size": VOCAB}
    words = {"model_type": "toy", "quantization": data_type, "eos_token_ids": ()}
    manifest = Manifest(
        **shape,
        **words,
        max_model_len=CONTEXT,
        weight_bytes_per_step=1,
        files=files,
        made_with={},
        verify_sizes=sizes,
    )
    write_manifest(folder, manifest)
    return folder


def set_attributes(attention: NodeProto, attributes: Mapping[str, float]) -> None:
    kept = [each for each in attention.attribute if each.name not in attributes]
    del attention.attribute[:]
    attention.attribute.extend([*kept, *starmap(helper.make_attribute, attributes.items())])


def unpack(graph: Graph, attention: NodeProto) -> None:
    """Queries, keys and values apart, as in architectures that normalise them."""
    widths = np.array([HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM])
    sizes = helper.make_node("Constant", [], ["widths"], value=numpy_helper.from_array(widths))
    split = helper.make_node("Split", [attention.input[0], "widths"], ["q", "k", "v"], axis=-1)
    graph.insert_before(attention, sizes, split)
    attention.input[:3] = ["q", "k", "v"]


def opened(folder: Path, *, own_kernels: bool = False) -> OnnxDecoder:
    return OnnxDecoder(
        folder, num_rows=3, max_model_len=CONTEXT, num_threads=2, own_kernels=own_kernels
    )


def decode(decoder: OnnxDecoder, row_length: int, count: int) -> np.ndarray:
    decoder.prefill(0, IDS[:row_length], 0, all_logits=False)
    places = range(row_length, row_length + count)
    return np.stack([decoder.decode(IDS[at : at + 1], np.array([at]))[0].copy() for at in places])


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"data_type": "int4"},
        {"packed": False},
        {"local_window_size": 6},
        {"softcap": 2.0},
        {"local_window_size": 3, "softcap": 2.0, "scale": 0.7, "packed": False},
    ],
    ids=str,
)
def test_it_verifies_to_the_bit_what_it_decodes(tmp_path, words):
    plain = opened(make(tmp_path, "plain", verifying=False, **words))
    verifying = opened(make(tmp_path, "verifying", verifying=True, **words))
    assert (plain.verify_sizes, verifying.verify_sizes) == ((), VERIFY_SIZES)
    for length, count in ((2, 8), (5, 3), (20, 8), (23, 1)):
        expected = decode(plain, length, count)
        np.testing.assert_array_equal(decode(verifying, length, count), expected)
        verifying.prefill(0, IDS[:length], 0, all_logits=False)
        verified = verifying.verify(IDS[length : length + count], length)
        np.testing.assert_array_equal(verified, expected)
    for decoder in (plain, verifying):
        decoder.close()


def quantized(graph: Graph) -> Graph:
    make_step_graph(graph)
    quantize_products(graph)
    return graph


def test_weights_that_only_its_branches_read_stay(graph):
    add_verification(quantized(graph), HEAD_DIM)
    graph.save()
    assert {"cos", "sin"} <= set(graph.weights)
    assert ONE_ROW in graph.inputs


def test_products_that_round_by_shape_are_left_alone(graph):
    make_step_graph(graph)  # fp32, nothing quantised
    assert add_verification(graph, HEAD_DIM) == ()
    assert ONE_ROW not in graph.inputs


def test_attention_with_inputs_of_another_kind_is_left_alone(graph):
    attention = next(
        node for node in quantized(graph).nodes if node.op_type == "GroupQueryAttention"
    )
    attention.input.extend(["", "", "sinks"])
    assert add_verification(graph, HEAD_DIM) == ()
