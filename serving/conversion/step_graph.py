"""Rewrites the builder's graph into one made for stepping: what our decoder feeds, and no more.

- `seqlens_k` and `total_sequence_length` become inputs in place of the attention mask, whose
  [batch, longest] entries the builder's graph only sums up again.
- `logit_positions` picks the positions whose logits are wanted; nothing after the last attention
  is computed for the others.
- The embedding is kept in half precision, which holds a bfloat16 checkpoint's values.
"""

from __future__ import annotations

import re

import numpy as np
from onnx import NodeProto, TensorProto, helper

from serving.conversion.graph import Array, Graph
from serving.errors import ConfigError

PAST = re.compile(r"past_key_values\.(\d+)\.(key|value)")
STEP_INPUTS = ("input_ids", "seqlens_k", "total_sequence_length", "logit_positions")
SEQLENS_K, TOTAL_LENGTH = 5, 6  # GroupQueryAttention's input numbers
# Operators that treat each position by itself, so that picking positions may come before them.
ROW_WISE = frozenset(
    (
        *("MatMul", "Add", "Sub", "Mul", "Div", "Cast", "Clip"),
        *("Sigmoid", "Tanh", "Relu", "Softplus", "Gelu", "FastGelu", "QuickGelu"),
        *("LayerNormalization", "SimplifiedLayerNormalization"),
        *("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"),
    )
)


def make_step_graph(graph: Graph) -> None:
    """All rewrites of this file; raises ConfigError for a graph of an unknown kind."""
    feed_lengths(graph)
    check_inputs(graph)
    prune_head(graph)
    halve_embedding(graph)


def feed_lengths(graph: Graph) -> None:
    """Every attention reads its rows' lengths from two inputs.

    seqlens_k: int32 [B], tokens of each row after this call, less one;
    total_sequence_length: int32 [], tokens of the longest row after this call.
    """
    attentions = [node for node in graph.nodes if node.op_type == "GroupQueryAttention"]
    if not attentions:
        raise ConfigError(
            "this model's attention is not GroupQueryAttention, the only kind the default engine "
            "decodes; choose another engine for it"
        )
    lengths = graph.add_input("seqlens_k", TensorProto.INT32, ["batch_size"])
    longest = graph.add_input("total_sequence_length", TensorProto.INT32, [])
    for attention in attentions:
        attention.input[SEQLENS_K] = lengths
        attention.input[TOTAL_LENGTH] = longest
    graph.drop_unused()  # the mask and what summed it up


def has_window(graph: Graph) -> bool:
    """Whether some attention looks back a limited number of tokens."""
    windows = (
        attribute.i
        for node in graph.nodes
        if node.op_type == "GroupQueryAttention"
        for attribute in node.attribute
        if attribute.name == "local_window_size"
    )
    return any(window > 0 for window in windows)


def prune_head(graph: Graph) -> None:
    """Logits [K, vocab] of `logit_positions` int64 [K], indices into the B·T positions."""
    positions = graph.add_input("logit_positions", TensorProto.INT64, ["num_logits"])
    tail = _row_wise_tail(graph)
    made = {name for node in tail for name in node.output}
    for name in dict.fromkeys(name for node in tail for name in node.input):
        if name and name not in made and name not in graph.weights and not _constant(graph, name):
            _gather(graph, tail, name, positions)
    vocab = graph.outputs["logits"].type.tensor_type.shape.dim[-1]
    graph.reshape_output("logits", ["num_logits", vocab.dim_value or vocab.dim_param])


def _row_wise_tail(graph: Graph) -> list[NodeProto]:
    """The row-wise nodes that lead to the logits and to nothing else, in order."""
    tail: list[NodeProto] = []
    needed = {"logits"}
    for node in reversed(graph.nodes):
        made = [name for name in node.output if name]
        readers = [reader for name in made for reader in graph.consumers(name)]
        inside = all(any(reader is kept for kept in tail) for reader in readers)
        if needed.intersection(made) and inside and node.op_type in ROW_WISE:
            tail.insert(0, node)
            needed.update(node.input)
    return tail


def _constant(graph: Graph, name: str) -> bool:
    producer = graph.producers().get(name)
    return producer is not None and producer.op_type == "Constant"


def _gather(graph: Graph, tail: list[NodeProto], name: str, positions: str) -> None:
    """Lets the tail read `name` [B, T, H] at the wanted positions only, as [K, H]."""
    flat, picked = f"{name}/flat", f"{name}/picked"
    graph.insert_after(
        graph.producers()[name],
        helper.make_node("Flatten", [name], [flat], name=flat, axis=-1),
        helper.make_node("Gather", [flat, positions], [picked], name=picked, axis=0),
    )
    for node in tail:
        node.input[:] = [picked if read == name else read for read in node.input]


def halve_embedding(graph: Graph) -> None:
    """Stores the table that `input_ids` look up as float16, cast back after the look-up."""
    for node in list(graph.consumers("input_ids")):
        table = _table(graph, node)
        if node.op_type != "Gather" or table is None:
            continue
        half = graph.add_weight(f"{node.name}/table", table.astype(np.float16))
        looked_up = f"{node.output[0]}/half"
        lookup = helper.make_node("Gather", [half, node.input[1]], [looked_up], name=node.name)
        cast = helper.make_node(
            "Cast", [looked_up], [node.output[0]], name=f"{node.name}/Cast", to=TensorProto.FLOAT
        )
        graph.replace(node, lookup, cast)


def _table(graph: Graph, lookup: NodeProto) -> Array | None:
    """The embedding [vocab, H]; a model with tied weights transposes its head for it."""
    name = lookup.input[0]
    if name in graph.weights:
        return graph.array(name)
    producer = graph.producers().get(name)
    if producer is not None and producer.op_type == "Transpose":
        return graph.array(producer.input[0]).T
    return None


def check_inputs(graph: Graph) -> None:
    """Raises ConfigError for a graph that wants more than the decoder can give."""
    unknown = [
        name for name in graph.inputs if name not in STEP_INPUTS and not PAST.fullmatch(name)
    ]
    if unknown:
        raise ConfigError(
            f"this model's graph wants {', '.join(unknown)}, which the default engine does not "
            "feed; choose another engine for it"
        )
