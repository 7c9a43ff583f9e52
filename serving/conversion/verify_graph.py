"""Lets the graph read several next tokens of one row in one call, bit for bit as one by one.

That is what speculation needs: a draft is only worth its check if the check gives the very logits
that decoding would have given. Everything but attention treats each position by itself, so a draft
may be fed as a batch of B positions, as if they were B rows. Attention over several positions of a
row, however, is another kernel than that of a single one, and sums in another order. So each
attention gets a second way, taken when the input `one_row` is true:

1. the draft's keys and values are written into the row by an attention of which only that is used;
2. then every position attends by itself, by the decoding kernel, over what is in the row
   (GroupQueryAttention without new keys, ONNX Runtime's shared KV mode).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, helper

from serving.conversion.graph import Graph
from serving.conversion.manifest import VERIFY_SIZES
from serving.conversion.per_row_int8 import MICROSOFT

ONE_ROW = "one_row"
# GroupQueryAttention's input numbers; from 9 on they are position ids, bias, sinks and the like.
VALUE, PAST_KEY, SEQLENS_K, TOTAL_LENGTH, COS, FIRST_UNKNOWN = 2, 3, 5, 6, 7, 9

# Operators that take another kernel for one row than for several.
ROUND_BY_SHAPE = frozenset(("MatMul", "Gemm", "MoE", "QMoE"))


def add_verification(graph: Graph, head_dim: int) -> tuple[int, ...]:
    """Adds the input `one_row`: bool [], whether the call's B positions follow each other in one
    row, whose KV memory is fed as a batch of one; returns the numbers of positions it works for.

    The graph must be one of `step_graph` whose products are quantised, and no pass may follow.
    Graphs with attention or products of another kind stay as they are, and work for none.
    """
    attentions = [node for node in graph.nodes if node.op_type == "GroupQueryAttention"]
    unknown = any(any(node.input[FIRST_UNKNOWN:]) for node in attentions)
    if unknown or any(node.op_type in ROUND_BY_SHAPE for node in graph.nodes):
        return ()
    graph.add_input(ONE_ROW, TensorProto.BOOL, [])
    rows = "verify/rows"
    choices = [_node("Shape", ["input_ids"], [rows], start=0, end=1)]
    for size in VERIFY_SIZES:
        choices += [
            _constant(f"verify/{size}", TensorProto.INT64, [1], [size]),
            _node("Equal", [rows, f"verify/{size}"], [_is_size(size)]),
        ]
    graph.insert_before(graph.nodes[0], *choices)
    for attention in attentions:
        graph.replace(attention, _either_way(attention, head_dim))
    return VERIFY_SIZES


def _either_way(attention: NodeProto, head_dim: int) -> NodeProto:
    """The attention as it was, or one of those that verify."""
    prefix = f"{attention.name or attention.output[0]}/verify"
    *smaller, largest = [
        _Verification(attention, size, head_dim, f"{prefix}/{size}") for size in VERIFY_SIZES
    ]
    branch = largest.branch()
    for each in reversed(smaller):
        outputs = _outputs(f"{each.prefix}/or")
        choice = _if(_is_size(each.size), each.branch(), branch, outputs)
        branch = _branch([choice], outputs)
    as_it_was = NodeProto()
    as_it_was.CopyFrom(attention)
    as_it_was.output[:] = _outputs(f"{prefix}/not")
    plain = _branch([as_it_was], as_it_was.output)
    return _if(ONE_ROW, branch, plain, attention.output[:3])


@dataclass(frozen=True, slots=True)
class _Verification:
    """Attention of `size` positions of one row, each by itself."""

    attention: NodeProto  # the one that decodes
    size: int
    head_dim: int
    prefix: str

    def branch(self) -> GraphProto:
        attended, present_key, present_value = _outputs(self.prefix)
        query, key, value, split = self._query_key_value()
        queries, lengths = self._each("query"), self._each("seqlens_k")
        results = self._each("result")
        nodes = [
            *split,
            _node("Split", [query], queries, axis=0, num_outputs=self.size),
            _node(
                "Split", [self.attention.input[SEQLENS_K]], lengths, axis=0, num_outputs=self.size
            ),
            *self._write(key, value, lengths[-1]),
            *self._constants(),
        ]
        for query_, length, result in zip(queries, lengths, results, strict=True):
            nodes += self._attend(query_, length, result)
        nodes.append(_node("Concat", results, [attended], axis=0))
        return _branch(nodes, [attended, present_key, present_value])

    def _each(self, what: str) -> list[str]:
        return [f"{self.prefix}/{what}.{place}" for place in range(self.size)]

    def _query_key_value(self) -> tuple[str, str, str, list[NodeProto]]:
        """The attention's three inputs, [size, 1, …] each, and what parts them if need be."""
        query, key, value = self.attention.input[: VALUE + 1]
        if key:
            return query, key, value, []
        sizes = f"{self.prefix}/qkv_sizes"
        parts = [f"{self.prefix}/{name}" for name in ("q", "k", "v")]
        query_width = _attribute(self.attention, "num_heads") * self.head_dim
        split = [
            _constant(sizes, TensorProto.INT64, [3], [query_width, self._width, self._width]),
            _node("Split", [query, sizes], parts, axis=-1),
        ]
        return parts[0], parts[1], parts[2], split

    @property
    def _width(self) -> int:
        """Of a position's keys, or values."""
        return _attribute(self.attention, "kv_num_heads") * self.head_dim

    def _write(self, key: str, value: str, last_length: str) -> list[NodeProto]:
        """Puts the new keys and values into the row; the fewest heads there can be ask in vain."""
        _, present_key, present_value = _outputs(self.prefix)
        shape, keys, values = (f"{self.prefix}/{name}" for name in ("one_row", "keys", "values"))
        given = self.attention.input
        return [
            _constant(shape, TensorProto.INT64, [3], [1, self.size, self._width]),
            _node("Reshape", [key, shape], [keys]),
            _node("Reshape", [value, shape], [values]),
            self._attention(
                [keys, keys, values],
                [*given[PAST_KEY:SEQLENS_K], last_length, given[TOTAL_LENGTH]],
                [f"{self.prefix}/in_vain", present_key, present_value],
                num_heads=_attribute(self.attention, "kv_num_heads"),
            ),
        ]

    def _constants(self) -> list[NodeProto]:
        return [
            _constant(f"{self.prefix}/nothing", TensorProto.FLOAT, [1, 0, self._width], []),
            _constant(f"{self.prefix}/one", TensorProto.INT32, [1], [1]),
            _constant(f"{self.prefix}/no_axes", TensorProto.INT64, [0], []),
        ]

    def _attend(self, query: str, length: str, result: str) -> list[NodeProto]:
        """One position over what is in the row up to it."""
        _, present_key, present_value = _outputs(self.prefix)
        nothing, total = f"{self.prefix}/nothing", f"{length}/total"
        return [
            _node("Add", [length, f"{self.prefix}/one"], [f"{total}.1"]),
            _node("Reshape", [f"{total}.1", f"{self.prefix}/no_axes"], [total]),
            self._attention(
                [query, nothing, nothing], [present_key, present_value, length, total], [result]
            ),
        ]

    def _attention(
        self, new: list[str], memory: list[str], outputs: list[str], **changes: int
    ) -> NodeProto:
        """An attention of the same kind, but for inputs, outputs and the attributes changed."""
        like = self.attention
        inputs = [*new, *memory, *like.input[COS:FIRST_UNKNOWN]]
        name = f"{outputs[0]}/of"
        node = helper.make_node(
            like.op_type, inputs, outputs, name=name, domain=MICROSOFT, **changes
        )
        node.attribute.extend(each for each in like.attribute if each.name not in changes)
        return node


def _attribute(node: NodeProto, name: str) -> int:
    found: AttributeProto = next(each for each in node.attribute if each.name == name)
    return int(found.i)


def _is_size(size: int) -> str:
    return f"verify/rows_are_{size}"


def _outputs(prefix: str) -> list[str]:
    return [f"{prefix}/{name}" for name in ("attended", "present_key", "present_value")]


def _if(
    condition: str, then: GraphProto, otherwise: GraphProto, outputs: Sequence[str]
) -> NodeProto:
    return helper.make_node(
        "If",
        [condition],
        outputs,
        name=f"{outputs[0]}/if",
        then_branch=then,
        else_branch=otherwise,
    )


def _branch(nodes: Sequence[NodeProto], outputs: Sequence[str]) -> GraphProto:
    """It reads from around it, so it has no inputs; ONNX Runtime infers the types."""
    return helper.make_graph(
        nodes, f"{outputs[0]}/branch", [], [ValueInfoProto(name=name) for name in outputs]
    )


def _node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **words: int) -> NodeProto:
    return helper.make_node(operator, inputs, outputs, name=f"{outputs[0]}/of", **words)


def _constant(name: str, element_type: int, shape: list[int], values: list[int]) -> NodeProto:
    tensor = helper.make_tensor("value", element_type, shape, values)
    return helper.make_node("Constant", [], [name], name=f"{name}/is", value=tensor)
