"""Products with constant matrices in four bits, each block of a column on a scale of its own.

A step of few sequences is as fast as memory gives it its weights, and these are half of int8's.
With many sequences, and for prompts, int8's kernels are faster (docs/benchmarks.md has figures).

The head, and products whose weights four bits would change more than MAX_LOSS, keep eight. ONNX
Runtime rounds activations to int8 in blocks too, so a row never feels its neighbours here either.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, helper

from serving.conversion.graph import Array, Graph
from serving.conversion.per_row_int8 import MICROSOFT, products, quantize_products

QUANTIZATION = "int4 in blocks of {block} with a scale each; int8 for {int8} of {all} products"
BLOCK = 32  # values of a column that share a scale
LEVELS = 16
MIDDLE = LEVELS // 2  # the nibble that means zero
MAX_LOSS = 0.15  # of a matrix's norm; weights without outliers lose a tenth
INT8_ACTIVATIONS = 4  # MatMulNBits' word for them: accuracy_level


def quantize_weight(weight: Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """[K, N] as nibbles [N, blocks, BLOCK] and scales [N, blocks]; K is padded to whole blocks.

    The scale makes the block's largest value -8, the end of the range that reaches one further.
    """
    rows, columns = weight.shape
    padded = np.pad(weight.T, ((0, 0), (0, -rows % BLOCK)))
    blocks = padded.reshape(columns, -1, BLOCK)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=2)[..., None], axis=2)
    scales = (largest / -MIDDLE).astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.where(scales == 0, 0, np.rint(blocks / scales))
    nibbles = np.clip(steps + MIDDLE, 0, LEVELS - 1).astype(np.uint8)
    return nibbles, scales[..., 0]


def dequantize(nibbles: npt.NDArray[np.uint8], scales: npt.NDArray[np.float32], rows: int) -> Array:
    """The weights [rows, N] that nibbles and scales stand for."""
    values = (nibbles.astype(np.float32) - MIDDLE) * scales[..., None]
    return values.reshape(len(values), -1)[:, :rows].T


def loss(weight: Array, rounded: Array) -> float:
    """How much of the matrix's norm the rounding takes."""
    norm = float(np.linalg.norm(weight))
    return float(np.linalg.norm(weight - rounded)) / norm if norm else 0.0


def quantize_to_int4(graph: Graph) -> tuple[int, str]:
    """Rewrites every product with a constant matrix; the new weights' bytes, and what became of
    them in words.
    """
    num_bytes = num_int4 = 0
    candidates = list(products(graph.nodes, graph.weights))
    for node in candidates[:-1]:  # the last one is the head
        num_bytes += (made := _rewrite(graph, node))
        num_int4 += made > 0
    graph.drop_unused()
    num_bytes += quantize_products(graph)
    num_int8 = len(candidates) - num_int4
    return num_bytes, QUANTIZATION.format(block=BLOCK, int8=num_int8, all=len(candidates))


def _rewrite(graph: Graph, node: NodeProto) -> int:
    """Puts the int4 product in node's place; its weights' bytes, 0 where that loses too much."""
    weight = graph.array(node.input[1]).astype(np.float32)
    rows, columns = weight.shape
    nibbles, scales = quantize_weight(weight)
    if loss(weight, dequantize(nibbles, scales, rows)) > MAX_LOSS:
        return 0
    name = node.name or node.output[0]
    packed = nibbles[..., 0::2] | nibbles[..., 1::2] << 4
    int4 = graph.add_weight(f"{name}/int4", packed)
    block_scales = graph.add_weight(f"{name}/block_scales", scales.reshape(-1))
    graph.replace(
        node,
        helper.make_node(
            "MatMulNBits",
            [node.input[0], int4, block_scales],
            list(node.output),
            name=name,
            domain=MICROSOFT,
            K=rows,
            N=columns,
            bits=4,
            block_size=BLOCK,
            accuracy_level=INT8_ACTIVATIONS,
        ),
    )
    return packed.nbytes + scales.nbytes
