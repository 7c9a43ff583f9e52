"""Channels far larger than the rest get products of their own, and int8 is near fp32 again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from serving.conversion.graph import ALIGNMENT, Graph
from serving.conversion.manifest import DATA_FILE, GRAPH_FILE
from serving.conversion.outliers import NUM_CHANNELS, channel_maxima, part_outliers
from serving.conversion.per_row_int8 import quantize_products
from tests.serving.conversion.conftest import session

VOCAB, HIDDEN, COLUMNS = 40, 64, 48
LARGE = (5, 17, 40)  # channels a hundred times larger than the others
TEXTS = [[1, 2, 3], [4, 5, 6, 7, 8, 9]]
IDS = np.random.default_rng(2).integers(0, VOCAB, (3, 7))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A table whose rows are multiplied by two matrices."""
    random = np.random.default_rng(0)
    table = random.standard_normal((VOCAB, HIDDEN)).astype(np.float32)
    table[:, LARGE] *= 100
    arrays = {"table": table}
    for name in ("one", "other"):
        matrix = random.standard_normal((HIDDEN, COLUMNS)).astype(np.float32)
        matrix[list(LARGE)] /= 100
        arrays[name] = matrix
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["x"], name="embed"),
        helper.make_node("MatMul", ["x", "one"], ["y1"], name="first"),
        helper.make_node("MatMul", ["x", "other"], ["y2"], name="second"),
        helper.make_node("Add", ["y1", "y2"], ["sum"], name="sum"),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMin", ["mask"], ["least"], keepdims=0),
        helper.make_node("Mul", ["sum", "least"], ["last_hidden_state"]),
    ]
    shape = ["batch", "length"]
    graph = helper.make_graph(
        nodes,
        "toy",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, shape)
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*shape, COLUMNS])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    path = tmp_path / "fp32" / GRAPH_FILE
    path.parent.mkdir()
    onnx.save(model, path, save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    return path


def rewritten(source: Path, folder: Path, *, parted: bool) -> tuple[Path, Counter[str]]:
    folder.mkdir()
    with Graph(source, folder) as graph:
        if parted:
            part_outliers(graph, channel_maxima(source, TEXTS))
        quantize_products(graph)
        graph.save()
        return folder / GRAPH_FILE, Counter(node.op_type for node in graph.nodes)


def run(path: Path) -> np.ndarray:
    feed = {"input_ids": IDS, "attention_mask": np.ones_like(IDS)}
    return np.asarray(session(path).run(None, feed)[0])


def error(got: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.sqrt(np.square(got - wanted).mean()) / wanted.std())


def test_the_largest_of_each_channel_is_found(source):
    [(name, maxima)] = channel_maxima(source, TEXTS).items()
    assert name == "x"
    table = np.abs(numpy_helper.to_array(onnx.load(source).graph.initializer[0]))
    np.testing.assert_array_equal(maxima, table[1:10].max(axis=0))


def test_int8_is_near_again(source, tmp_path):
    wanted = run(source)
    plain, _ = rewritten(source, tmp_path / "plain", parted=False)
    parted, _ = rewritten(source, tmp_path / "parted", parted=True)
    assert error(run(plain), wanted) > 0.1
    assert error(run(parted), wanted) < 0.02


def test_products_of_one_x_share_what_was_parted(source, tmp_path):
    _, operators = rewritten(source, tmp_path / "parted", parted=True)
    assert operators["MatMulIntegerToFloat"] == operators["MatMul"] == 2
    assert operators["QuantizeLinear"] == 1
    assert operators["Gather"] == 2  # the table, and the outliers of x


def test_a_row_still_feels_no_neighbour(source, tmp_path):
    path, _ = rewritten(source, tmp_path / "parted", parted=True)
    together = run(path)
    for row, ids in enumerate(IDS):
        feed = {"input_ids": ids[None], "attention_mask": np.ones((1, 7), np.int64)}
        alone = np.asarray(session(path).run(None, feed)[0])[0]
        np.testing.assert_allclose(alone, together[row], atol=1e-4)


def test_no_weight_is_stored_twice(source, tmp_path):
    path, _ = rewritten(source, tmp_path / "parted", parted=True)
    stored = {w.name: tuple(w.dims) for w in onnx.load(path).graph.initializer}
    large = [name for name, dims in stored.items() if dims == (HIDDEN, COLUMNS)]
    assert all("int8" in name for name in large)
    assert sum(dims == (NUM_CHANNELS, COLUMNS) for dims in stored.values()) == 2
    left_behind = (
        path.with_name(DATA_FILE).stat().st_size - source.with_name(DATA_FILE).stat().st_size
    )
    assert left_behind < 2 * NUM_CHANNELS * COLUMNS * 4 + 3 * ALIGNMENT
