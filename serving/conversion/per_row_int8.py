"""Products with constant matrices in int8, each activation row on a scale of its own.

    y = x · W   becomes   y = (q - 128) · W8 * column_scale * row_scale
    row_scale = max|x| / 127 of the row      q  = uint8(round(x / row_scale) + 128)
    column_scale = max|W| / 127 of a column  W8 = int8(round(W / column_scale))

A row never feels what its neighbours in the batch hold: the sums are integers, and every scale
belongs to one row or one column. Activations are unsigned because the signed kernels of ONNX
Runtime are many times slower on x86; the zero point 128 gives them their sign back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, helper

from serving.conversion.graph import Array, Graph

QUANTIZATION = "int8, one scale per weight column and per activation row"
MICROSOFT = "com.microsoft"
# Smaller products cost next to nothing, and some of them route tokens to experts.
MIN_SIZE = 32  # rows and columns of a weight
INT8_MAX = 127
ZERO_POINT = 128


def quantize_weight(weight: Array) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """[K, N] as int8 and its column scales [N]; a column of zeros gets scale 1."""
    scale = np.abs(weight).max(axis=0) / np.float32(INT8_MAX)
    scale[scale == 0] = 1
    return np.rint(weight / scale).astype(np.int8), scale.astype(np.float32)


def quantize_products(graph: Graph) -> int:
    """Rewrites every product with a constant matrix; returns the bytes of their new weights."""
    graph.import_domain(MICROSOFT)
    constants = _Constants(graph)
    quantized: dict[str, tuple[str, str]] = {}
    num_bytes = 0
    for node in list(products(graph.nodes, graph.weights)):
        x = node.input[0]
        if x not in quantized:  # q, k, v share one x; gate and up another
            quantized[x] = _quantize_rows(graph, node, constants)
        num_bytes += _multiply(graph, node, *quantized[x], constants)
    graph.drop_unused()
    return num_bytes


def products(nodes: Iterable[NodeProto], weights: Mapping[str, TensorProto]) -> Iterator[NodeProto]:
    """Those with a constant matrix that is worth it."""
    for node in nodes:
        if node.op_type == "MatMul" and node.input[1] in weights:
            dims = weights[node.input[1]].dims
            if len(dims) == 2 and min(dims) >= MIN_SIZE:
                yield node


class _Constants:
    """Weights and values that all quantised products share."""

    def __init__(self, graph: Graph) -> None:
        self.int8_max = graph.add_weight("int8/inverse_max", np.array(1 / INT8_MAX, np.float32))
        self.one = graph.add_weight("int8/one", np.array(1, np.float32))
        self.zero_point = graph.add_weight("int8/zero_point", np.array(ZERO_POINT, np.uint8))
        self.last_axis = graph.add_weight("int8/last_axis", np.array([-1], np.int64))
        self._picked = graph.reachable_from("logit_positions")
        self._row_zero_points: dict[str, str] = {}

    def row_zero_points(self, graph: Graph, x: str) -> str:
        """uint8 128 for each row of x: [B, T, 1], or [K, 1] behind the picked positions.

        QuantizeLinear wants a zero point for every scale; they are made once per call.
        """
        rows = "logit_positions" if x in self._picked else "input_ids"
        if rows not in self._row_zero_points:
            name = f"int8/{rows}/zero_points"
            shape, wide = f"{name}/rows", f"{name}/shape"
            graph.nodes[0:0] = [
                helper.make_node("Shape", [rows], [shape], name=shape),
                helper.make_node("Concat", [shape, self._one_column(graph)], [wide], axis=0),
                helper.make_node("Expand", [self.zero_point, wide], [name], name=name),
            ]
            self._row_zero_points[rows] = name
        return self._row_zero_points[rows]

    def _one_column(self, graph: Graph) -> str:
        return graph.add_weight("int8/one_column", np.array([1], np.int64))


def _quantize_rows(graph: Graph, node: NodeProto, constants: _Constants) -> tuple[str, str]:
    """Puts the quantisation of node's x before it; returns the names of q and row_scale."""
    x = node.input[0]
    size, largest, scale, q = (f"{x}/int8/{part}" for part in ("size", "largest", "scale", "q"))
    row_size = graph.weights[node.input[1]].dims[0]
    zero_points = constants.row_zero_points(graph, x)
    graph.insert_before(
        node,
        helper.make_node("Abs", [x], [size], name=size),
        helper.make_node("ReduceMax", [size, constants.last_axis], [largest], name=largest),
        helper.make_node("Mul", [largest, constants.int8_max], [scale], name=scale),
        # One block as long as the row: the one form of QuantizeLinear with a scale per row. A row
        # of zeros divides by zero here; whatever comes out is multiplied by its scale, zero.
        helper.make_node(
            "QuantizeLinear", [x, scale, zero_points], [q], name=q, axis=-1, block_size=row_size
        ),
    )
    return q, scale


def _multiply(graph: Graph, node: NodeProto, q: str, row_scale: str, constants: _Constants) -> int:
    """Puts the int8 product in node's place; returns the bytes of its weights."""
    weight, column_scale = quantize_weight(graph.array(node.input[1]))
    name = node.name or node.output[0]
    int8 = graph.add_weight(f"{name}/int8", weight)
    scales = graph.add_weight(f"{name}/column_scale", column_scale)
    unscaled = f"{name}/unscaled"
    graph.replace(
        node,
        # Applies the column scales inside the product; its scalar row scale stays one, because
        # ours differ from row to row.
        helper.make_node(
            "MatMulIntegerToFloat",
            [q, int8, constants.one, scales, constants.zero_point],
            [unscaled],
            name=name,
            domain=MICROSOFT,
        ),
        helper.make_node("Mul", [unscaled, row_scale], list(node.output), name=f"{name}/Mul"),
    )
    return weight.nbytes + column_scale.nbytes
