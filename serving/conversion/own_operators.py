"""Puts our own operators (`serving.kernels`) in the place of quantised products.

They read the same weights, and int8's give the same results to the bit: rounding the activations
becomes a part of the product. In int4 ours round activations by the row, ONNX Runtime's by the
block.
"""

from __future__ import annotations

from onnx import NodeProto, helper

from serving.conversion.blocks_int4 import BLOCK
from serving.conversion.graph import Graph
from serving.kernels.library import DOMAIN


def use_own_operators(graph: Graph) -> None:
    """Replaces what `quantize_products` and `quantize_to_int4` wrote."""
    graph.import_domain(DOMAIN)
    made_by = graph.producers()
    for node in list(graph.nodes):
        if node.op_type == "MatMulIntegerToFloat":
            _replace_int8(graph, node, x=made_by[node.input[0]].input[0])
        elif node.op_type == "MatMulNBits" and _is_whole(node):
            _replace(graph, node, "RowInt4MatMul", node.input, node.output[0])
    graph.drop_unused()


def _replace_int8(graph: Graph, node: NodeProto, x: str) -> None:
    (times_row_scale,) = graph.consumers(node.output[0])
    _, weights, _, column_scales, *_ = node.input
    result = times_row_scale.output[0]
    graph.replace(times_row_scale)
    _replace(graph, node, "RowInt8MatMul", [x, weights, column_scales], result)


def _is_whole(product: NodeProto) -> bool:
    """Whether the blocks of its weights cover x exactly."""
    length = next(each.i for each in product.attribute if each.name == "K")
    return bool(length % BLOCK == 0)


def _replace(graph: Graph, node: NodeProto, operator: str, read: list[str], result: str) -> None:
    own = helper.make_node(operator, read, [result], name=node.name, domain=DOMAIN)
    graph.replace(node, own)
