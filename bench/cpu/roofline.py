"""What the machine allows (Williams et al., 2009): by its memory, and by its products of int8.

A decode step reads all weights once, whatever the batch; every token multiplies and adds each
weight once. Memory is read as `bench.decoder` reads it, products are ONNX Runtime's MatMulInteger.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.cpu.results import ModelSize
from bench.decoder import Bandwidth
from serving.conversion.source import WEIGHTS, safetensors_header

REPEATS = 7
ROWS, IN, OUT = 512, 2048, 5632  # of the product that is timed: a prompt through one matrix
OPS_PER_WEIGHT = 2  # multiply, add
EMBEDDING, HEAD = "embed_tokens.weight", "lm_head.weight"


def decode_tokens_per_s(
    size: ModelSize, *, bits: int, concurrency: int, bytes_per_s: float, ops_per_s: float
) -> float:
    """The lower of both roofs, for so many sequences together."""
    by_memory = concurrency * bytes_per_s / (size.decode * bits / 8)
    return min(by_memory, ops_per_s / (OPS_PER_WEIGHT * size.decode))


def prefill_tokens_per_s(size: ModelSize, ops_per_s: float) -> float:
    """Prompts are long enough for arithmetic to be the limit."""
    return ops_per_s / (OPS_PER_WEIGHT * size.prefill)


def model_size(model: Path) -> ModelSize:
    """Of a checkpoint's matrices; a head that is the embedding's own matrix is read as a head."""
    shapes: dict[str, list[int]] = {}
    for path in model.glob(WEIGHTS):
        shapes |= {name: each["shape"] for name, each in safetensors_header(path).items()}
    matrices = {name: shape[0] * shape[1] for name, shape in shapes.items() if len(shape) == 2}
    embedding = sum(num for name, num in matrices.items() if name.endswith(EMBEDDING))
    head = sum(num for name, num in matrices.items() if name.endswith(HEAD))
    layers = sum(matrices.values()) - embedding - head
    return ModelSize(decode=layers + (head or embedding), prefill=layers)


def measure(num_threads: int) -> tuple[float, float]:
    """Bytes read and int8 operations in a second, medians; takes about a second."""
    bandwidth = Bandwidth(num_threads)
    bytes_per_s = statistics.median(bandwidth() for _ in range(REPEATS))
    return bytes_per_s, OPS_PER_WEIGHT * ROWS * IN * OUT / _seconds(_product(num_threads))


def _seconds(work: Callable[[], object]) -> float:
    """The median of several times, after one that prepares."""
    work()
    taken_s = []
    for _ in range(REPEATS):
        began_s = time.perf_counter()
        work()
        taken_s.append(time.perf_counter() - began_s)
    return statistics.median(taken_s)


def _product(num_threads: int) -> Callable[[], object]:
    """uint8 [ROWS, IN] times int8 [IN, OUT], which stays where it is."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    chance = np.random.default_rng(0)
    weights = chance.integers(-127, 128, (IN, OUT), np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "w", "zero"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [ROWS, IN])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [ROWS, OUT])],
        [
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(np.array(128, np.uint8), "zero"),
        ],
    )
    model: Any = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 10
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    rows = chance.integers(0, 256, (ROWS, IN), np.uint8)
    return lambda: session.run(None, {"x": rows})
