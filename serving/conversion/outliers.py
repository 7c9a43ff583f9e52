"""Keeps the few channels that are far larger than all others out of an encoder's int8 products.

Encoders have channels whose values are tens of times those of the rest, the same ones in every
text. On the one scale of their row they leave the others only a few of its 255 steps. So

    y = x · W   becomes   y = (x without them) · W  +  (they alone) · (their rows of W)

of which only the first product is made int8 (per_row_int8). Which channels they are is measured on
a few texts, for each x by itself. Source: outlier features in LLM.int8() (arXiv:2208.07339).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import NodeProto, TensorProto, helper

from serving.conversion.graph import Array, Graph
from serving.conversion.per_row_int8 import products

NUM_CHANNELS = 8  # of each x
WATCHED_FILE = "watched.onnx"
# Enough to show them: they are the model's, not the text's.
TEXTS = (
    "ok",
    "How do I return an item that I bought last week?",
    "The committee will meet on Tuesday, 4 May, at 10:30 in room B-12 (second floor).",
    "Las olas rompían contra las rocas; a lo lejos se oía una campana.",
    "SELECT name, price FROM products WHERE price < 20 ORDER BY name;",
    "She had been walking for hours when the rain began, first a few drops and then so much of it "
    "that the road turned into a stream. There was no house to be seen, only fields, and far away "
    "the lights of a train. She laughed, took off her shoes and walked on.",
)


def channel_maxima(source: Path, texts: Sequence[Sequence[int]]) -> dict[str, Array]:
    """The largest |x| [K] of each channel in these texts, for every x that a product reads."""
    model = onnx.load(source, load_external_data=False)
    weights = {weight.name: weight for weight in model.graph.initializer}
    read = list(dict.fromkeys(node.input[0] for node in products(model.graph.node, weights)))
    for name in read:
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    watched = source.with_name(WATCHED_FILE)  # beside the weights it shares
    onnx.save(model, watched)
    session = ort.InferenceSession(watched, providers=["CPUExecutionProvider"])
    maxima: dict[str, Array] = {}
    for text in texts:
        ids = np.array([text], np.int64)
        values = session.run(read, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        for name, value in zip(read, values, strict=True):
            largest = np.abs(value).reshape(-1, value.shape[-1]).max(axis=0)
            maxima[name] = np.maximum(maxima.get(name, 0), largest)
    return maxima


def part_outliers(graph: Graph, maxima: Mapping[str, Array]) -> None:
    """Gives the largest channels of each x products of their own."""
    for x, largest in maxima.items():
        readers = [node for node in products(graph.nodes, graph.weights) if node.input[0] == x]
        channels = np.sort(np.argsort(largest)[-NUM_CHANNELS:])
        rest, outliers = _part(graph, readers[0], channels)
        for node in readers:
            _multiply_apart(graph, node, channels, rest, outliers)
    graph.drop_unused()


def _part(graph: Graph, first: NodeProto, channels: Array) -> tuple[str, str]:
    """Before its first reader, x without these channels, and these channels of it."""
    x = first.input[0]
    kept = np.ones(graph.weights[first.input[1]].dims[0], np.float32)
    kept[channels] = 0
    rest, outliers = f"{x}/rest", f"{x}/outliers"
    mask = graph.add_weight(f"{rest}/mask", kept)
    indices = graph.add_weight(f"{outliers}/channels", channels.astype(np.int64))
    graph.insert_before(
        first,
        helper.make_node("Mul", [x, mask], [rest], name=rest),
        helper.make_node("Gather", [x, indices], [outliers], name=outliers, axis=-1),
    )
    return rest, outliers


def _multiply_apart(
    graph: Graph, node: NodeProto, channels: Array, rest: str, outliers: str
) -> None:
    """Puts the sum of two products in node's place."""
    weight, name = node.input[1], node.name or node.output[0]
    own = graph.add_weight(f"{name}/outliers/weight", graph.array(weight)[channels])
    parts = [f"{name}/rest", f"{name}/outliers"]
    graph.replace(
        node,
        helper.make_node("MatMul", [rest, weight], parts[:1], name=parts[0]),
        helper.make_node("MatMul", [outliers, own], parts[1:], name=parts[1]),
        helper.make_node("Add", parts, list(node.output), name=f"{name}/Add"),
    )
