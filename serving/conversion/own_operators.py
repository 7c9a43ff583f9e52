"""Puts our own operators (`serving.kernels`) in the place of quantised products and of attention.

They read the same weights and KV memory. Products in int8 give the same results to the bit:
rounding the activations becomes a part of the product. In int4 ours round activations by the row,
ONNX Runtime's by the block. Our attention sums in another order, and treats a position alike
whether it comes alone or in a chunk, so that the graph needs no second way to verify drafts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, helper

from serving.conversion.blocks_int4 import BLOCK
from serving.conversion.graph import Graph
from serving.kernels.library import DOMAIN

# GroupQueryAttention's inputs; after the last one come position ids, bias, sinks and the like.
KEY, PAST_KEY, PAST_VALUE, SEQLENS_K, COS, SIN, FIRST_UNKNOWN = 1, 3, 4, 5, 7, 8, 9
DEFAULTS = {"scale": 0.0, "softcap": 0.0, "local_window_size": -1, "rotary_interleaved": 0}
KNOWN = {*DEFAULTS, "num_heads", "kv_num_heads", "do_rotary"}
LANES = 16  # the width of a head is a multiple of it


def use_own_operators(graph: Graph, head_dim: int) -> bool:
    """Replaces what `quantize_products` and `quantize_to_int4` wrote, and attention; returns False,
    and leaves the graph as it is, if it has attention of a kind that ours is not.
    """
    attentions = [node for node in graph.nodes if node.op_type == "GroupQueryAttention"]
    if head_dim % LANES or not all(map(_is_known, attentions)):
        return False
    graph.import_domain(DOMAIN)
    made_by = graph.producers()
    for attention in attentions:
        graph.replace(attention, _own_attention(graph, attention))
    for node in list(graph.nodes):
        if node.op_type == "MatMulIntegerToFloat":
            _replace_int8(graph, node, x=made_by[node.input[0]].input[0])
        elif node.op_type == "MatMulNBits" and _is_whole(node):
            graph.replace(node, _own("RowInt4MatMul", node, node.input, node.output))
    graph.drop_unused()
    return True


def _own(
    operator: str, node: NodeProto, read: Sequence[str], made: Sequence[str], **words: Any
) -> NodeProto:
    return helper.make_node(operator, read, made, name=node.name, domain=DOMAIN, **words)


def _replace_int8(graph: Graph, node: NodeProto, x: str) -> None:
    (times_row_scale,) = graph.consumers(node.output[0])
    _, weights, _, column_scales, *_ = node.input
    own = _own("RowInt8MatMul", node, [x, weights, column_scales], times_row_scale.output)
    graph.replace(times_row_scale)
    graph.replace(node, own)


def _is_whole(product: NodeProto) -> bool:
    """Whether the blocks of its weights cover x exactly."""
    return bool(_attributes(product)["K"] % BLOCK == 0)


def _is_known(attention: NodeProto) -> bool:
    """Whether it does nothing that ours does not."""
    others = {
        name: value for name, value in _attributes(attention).items() if name not in KNOWN and value
    }
    return not others and not any(attention.input[FIRST_UNKNOWN:])


def _own_attention(graph: Graph, attention: NodeProto) -> NodeProto:
    given, words = attention.input, _attributes(attention)
    positions = list(given[COS : SIN + 1])
    if not words.get("do_rotary"):
        positions = [graph.add_weight("no_positions", np.empty((1, 0), np.float32))] * 2
    # Where queries, keys and values follow each other in one tensor, ours takes it three times.
    new = given[:PAST_KEY] if given[KEY] else [given[0]] * PAST_KEY
    read = [*new, given[PAST_KEY], given[PAST_VALUE], given[SEQLENS_K], *positions]
    kept = {name: words.get(name, default) for name, default in DEFAULTS.items()}
    heads = {name: words[name] for name in ("num_heads", "kv_num_heads")}
    return _own("RowsAttention", attention, read, attention.output[:3], **heads, **kept)


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}
