"""Graphs of products with our operators or ONNX Runtime's own, and what they should give."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from serving.conversion import blocks_int4, per_row_int8
from serving.conversion.blocks_int4 import BLOCK, INT8_ACTIVATIONS
from serving.conversion.graph import Graph
from serving.conversion.per_row_int8 import MICROSOFT, quantize_products
from serving.cpu.processor import this_processor
from serving.kernels.library import DOMAIN, LIBRARY, NEEDED, why_not

OPSETS = {"": 22, MICROSOFT: 1, DOMAIN: 1}
INVERSE_MAX = np.float32(1 / 127)

CAN_COMPILE = any(map(shutil.which, ("cc", "gcc", "clang")))
# Where they could have been compiled, a missing library is a failure.
needs_kernels = pytest.mark.skipif(
    not set(NEEDED) <= this_processor().flags or not (LIBRARY.is_file() or CAN_COMPILE),
    reason=why_not(this_processor()) or "",
)


@dataclass(frozen=True)
class Weights:
    """A matrix [K, N] as one of our operators reads it, and the values it stands for."""

    operator: str
    values: np.ndarray
    scales: np.ndarray
    matrix: np.ndarray  # whole numbers [K, N], to be multiplied by their scales


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def int8_weights(length: int, columns: int, seed: int = 0) -> Weights:
    matrix, scales = per_row_int8.quantize_weight(normal(length, columns, seed=seed))
    return Weights("RowInt8MatMul", matrix, scales, matrix)


def int4_weights(length: int, columns: int, seed: int = 0) -> Weights:
    nibbles, scales = blocks_int4.quantize_weight(normal(length, columns, seed=seed))
    packed = nibbles[..., 0::2] | nibbles[..., 1::2] << 4
    matrix = nibbles.reshape(columns, -1).T.astype(np.int8) - 8
    return Weights("RowInt4MatMul", packed, scales.reshape(-1), matrix)


BOTH = [pytest.param(make, id=make.__name__[:4]) for make in (int8_weights, int4_weights)]


def quantized(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers, and the scale of each row: what `rows_quantize` writes."""
    scale = np.abs(x).max(axis=-1, keepdims=True) * INVERSE_MAX
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        steps = np.rint(x / scale)
    return np.where(scale == 0, 0, np.clip(steps, -128, 127)), scale


def int8_product(x: np.ndarray, weights: Weights) -> np.ndarray:
    """The formula of serving/kernels/panels.h, in its order; doubles hold the sums exactly."""
    q, scale = quantized(x)
    sums = q.astype(np.float64) @ weights.matrix.astype(np.float64)
    with np.errstate(over="ignore"):
        return np.asarray(sums.astype(np.float32) * weights.scales * scale)


def int4_product(x: np.ndarray, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """Without rounding after the activations', and the sum of its terms' sizes."""
    q, scale = quantized(x)
    rows = q.astype(np.float64)
    columns = weights.scales.size * BLOCK // len(weights.matrix)
    scales = weights.scales.reshape(columns, -1).repeat(BLOCK, axis=1).T
    matrix = weights.matrix * scales.astype(np.float64)
    return (rows @ matrix) * scale, (np.abs(rows) @ np.abs(matrix)) * scale


def graph_of(nodes: list[Any], weights: dict[str, np.ndarray], inputs: dict[str, Any]) -> Any:
    """A model from the nodes' inputs to the last one's result; inputs are types and dimensions."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid(*each) for each in OPSETS.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def own_product(weights: Weights, dims: list[int | str] | None = None) -> Any:
    """x [.., K] times the weights; x may have any dimensions unless they are given."""
    node = helper.make_node(weights.operator, ["x", "weights", "scales"], ["y"], domain=DOMAIN)
    constants = {"weights": weights.values, "scales": weights.scales}
    return graph_of([node], constants, {"x": (TensorProto.FLOAT, dims)})


def matmul_n_bits(weights: Weights) -> Any:
    """ONNX Runtime's own operator over the weights of `int4_weights`."""
    length, columns = weights.matrix.shape
    node = helper.make_node(
        "MatMulNBits",
        ["x", "weights", "scales"],
        ["y"],
        domain=MICROSOFT,
        K=length,
        N=columns,
        bits=4,
        block_size=BLOCK,
        accuracy_level=INT8_ACTIVATIONS,
    )
    constants = {"weights": weights.values, "scales": weights.scales}
    return graph_of([node], constants, {"x": (TensorProto.FLOAT, None)})


def write_int8_graph(folder: Path, matrix: np.ndarray) -> Path:
    """x [B, T, K] times the matrix as `quantize_products` writes it; returns the graph's file."""
    node = helper.make_node("MatMul", ["x", "matrix"], ["y"], name="product")
    inputs = {
        "input_ids": (TensorProto.INT64, ["B", "T"]),
        "x": (TensorProto.FLOAT, ["B", "T", len(matrix)]),
    }
    made = folder / "made"
    made.mkdir()
    onnx.save(graph_of([node], {"matrix": matrix}, inputs), folder / "float.onnx")
    with Graph(folder / "float.onnx", made) as graph:
        quantize_products(graph)
        graph.save("int8.onnx")
    return made / "int8.onnx"


def open_session(model: Any, num_threads: int = 1) -> ort.InferenceSession:
    """Of a model or of a graph's file, with our operators."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # refusals are looked at as exceptions
    options.register_custom_ops_library(str(LIBRARY))
    source = model if isinstance(model, Path) else model.SerializeToString()
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run(session: ort.InferenceSession, x: np.ndarray) -> np.ndarray:
    return np.asarray(session.run(None, {"x": x})[0])


def multiply(weights: Weights, x: np.ndarray, num_threads: int = 1) -> np.ndarray:
    return run(open_session(own_product(weights), num_threads), x)
