"""An ONNX graph while it is rewritten, with its weights left on disk until they are asked for.

New weights go to the new data file at once, so that a rewrite holds one weight in memory at a time
however big the model is.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from serving.conversion.manifest import DATA_FILE, GRAPH_FILE

INLINE_BYTES = 1024  # smaller weights stay in the graph, where shape inference can read them
ALIGNMENT = 4096  # of a weight in the data file, so that it can be mapped page by page

Array = npt.NDArray[Any]


class Graph:
    """Nodes, inputs, outputs and weights of one model, by name; a context that ends the writing."""

    def __init__(self, source: Path, target: Path) -> None:
        """Reads `source`, a graph file; what is kept goes to the folder `target`."""
        self._model = onnx.load(source, load_external_data=False)
        self._source = source.parent
        self._target = target
        self._data = (target / DATA_FILE).open("wb")
        self.weights: dict[str, TensorProto] = {w.name: w for w in self._graph.initializer}
        self._added: set[str] = set()
        self.nodes: list[NodeProto] = list(self._graph.node)

    def __enter__(self) -> Graph:
        return self

    def __exit__(self, *_: object) -> None:
        self._data.close()

    @property
    def _graph(self) -> Any:
        return self._model.graph

    @property
    def inputs(self) -> dict[str, Any]:
        return {value.name: value for value in self._graph.input}

    @property
    def outputs(self) -> dict[str, Any]:
        return {value.name: value for value in self._graph.output}

    def producers(self) -> dict[str, NodeProto]:
        """The node that makes each value."""
        return {name: node for node in self.nodes for name in node.output if name}

    def consumers(self, name: str) -> list[NodeProto]:
        return [node for node in self.nodes if name in node.input]

    def reachable_from(self, name: str) -> set[str]:
        """Every value that depends on this one, itself included."""
        reached = {name}
        for node in self.nodes:  # ONNX keeps nodes in topological order
            if reached.intersection(node.input):
                reached.update(filter(None, node.output))
        return reached

    def array(self, name: str) -> Array:
        """A weight's values."""
        folder = self._target if name in self._added else self._source
        values: Array = numpy_helper.to_array(self.weights[name], base_dir=str(folder))
        return values

    def add_weight(self, name: str, values: Array) -> str:
        """Writes a weight to the new data file (a small one into the graph); returns its name."""
        tensor = numpy_helper.from_array(np.ascontiguousarray(values), name)
        if values.nbytes > INLINE_BYTES:
            self._write_out(tensor)
        self.weights[name] = tensor
        self._added.add(name)
        return name

    def _write_out(self, tensor: TensorProto) -> None:
        offset = -(-self._data.tell() // ALIGNMENT) * ALIGNMENT
        self._data.seek(offset)
        length = self._data.write(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", DATA_FILE), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))

    def add_input(self, name: str, element_type: int, shape: list[str | int]) -> str:
        self._graph.input.append(helper.make_tensor_value_info(name, element_type, shape))
        return name

    def import_domain(self, domain: str) -> None:
        """Lets the graph use operators of this domain."""
        if all(each.domain != domain for each in self._model.opset_import):
            self._model.opset_import.append(helper.make_opsetid(domain, 1))

    def reshape_output(self, name: str, shape: list[str | int]) -> None:
        output = self.outputs[name]
        element_type = output.type.tensor_type.elem_type
        output.CopyFrom(helper.make_tensor_value_info(name, element_type, shape))

    def retype(self, name: str, element_type: int) -> None:
        """Lets an input or an output be of another type."""
        value = {**self.inputs, **self.outputs}[name]
        value.type.tensor_type.elem_type = element_type

    def insert_after(self, node: NodeProto, *new: NodeProto) -> None:
        place = self._place(node) + 1
        self.nodes[place:place] = new

    def insert_before(self, node: NodeProto, *new: NodeProto) -> None:
        place = self._place(node)
        self.nodes[place:place] = new

    def replace(self, node: NodeProto, *new: NodeProto) -> None:
        place = self._place(node)
        self.nodes[place : place + 1] = new

    def _place(self, node: NodeProto) -> int:
        return next(index for index, candidate in enumerate(self.nodes) if candidate is node)

    def drop_unused(self) -> None:
        """Removes nodes, weights and inputs that no output depends on."""
        needed = set(self.outputs)
        kept = []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                kept.append(node)
                needed.update(_reads(node))
        self.nodes = kept[::-1]
        self.weights = {name: w for name, w in self.weights.items() if name in needed}
        inputs = [value for value in self._graph.input if value.name in needed]
        del self._graph.input[:]
        self._graph.input.extend(inputs)

    def settle(self) -> None:
        """Puts all weights that are in use into the new data file."""
        self.drop_unused()
        for name in [name for name in self.weights if name not in self._added]:
            self.add_weight(name, self.array(name))

    def variant(self) -> Graph:
        """The same graph, to be rewritten in another way over the same weights."""
        other = copy.copy(self)
        other._model = onnx.ModelProto()
        other._model.CopyFrom(self._model)
        other.weights, other._added = dict(self.weights), set(self._added)
        other.nodes = [_copy(node) for node in self.nodes]
        return other

    def save(self, file: str = GRAPH_FILE) -> None:
        """Writes the graph; weights of the source that are still in use are copied over."""
        self.settle()
        self._data.flush()
        for field, values in (("node", self.nodes), ("initializer", self.weights.values())):
            self._graph.ClearField(field)
            getattr(self._graph, field).extend(values)
        self._graph.ClearField("value_info")  # shapes that no longer hold
        onnx.save(self._model, self._target / file)


def _copy(node: NodeProto) -> NodeProto:
    made = NodeProto()
    made.CopyFrom(node)
    return made


def _reads(node: NodeProto) -> Iterator[str]:
    """Names of values that the node needs, those that its branches take from outside included."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _reads(inner)
