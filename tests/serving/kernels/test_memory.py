"""A session holds its weights once, and gives them back when it closes."""

from __future__ import annotations

import gc
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper

from serving.kernels.library import DOMAIN
from tests.serving.kernels.small_graphs import (
    BOTH,
    graph_of,
    int8_weights,
    multiply,
    needs_kernels,
    normal,
    open_session,
    own_product,
)

pytestmark = needs_kernels

MIB = 2**20
LENGTH = 2048


def write_products(folder: Path, num_products: int, columns: int) -> Path:
    """Products of one x with matrices [LENGTH, columns] in a file beside the graph; the last one's
    result comes out."""
    random, nodes, constants = np.random.default_rng(0), [], {}
    for name in map(str, range(num_products)):
        read = ["x", f"{name}/weights", f"{name}/scales"]
        nodes.append(helper.make_node("RowInt8MatMul", read, [name], domain=DOMAIN))
        constants[read[1]] = np.frombuffer(random.bytes(LENGTH * columns), np.int8).reshape(
            LENGTH, columns
        )
        constants[read[2]] = np.ones(columns, np.float32)
    outputs = [node.output[0] for node in nodes[:-1]]
    model = graph_of(nodes, constants, {"x": (TensorProto.FLOAT, ["rows", LENGTH])})
    for name in outputs:
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    path = folder / "products.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=1024)
    return path


def own_mib() -> float:
    """Memory of this process less what only shows files, as ONNX Runtime does with weights."""
    gc.collect()
    info = psutil.Process().memory_info()
    return (info.rss - info.shared) / MIB


def hold_and_release(path: Path) -> tuple[float, float]:
    """Memory with a session, and with it closed, beyond what there is at rest."""
    open_session(own_product(int8_weights(64, 64)))  # what the runtime itself keeps
    np.ones(30 * MIB, np.uint8)  # freed at once: from here on malloc keeps pieces up to this size
    at_rest = own_mib()
    session = open_session(path)
    held = own_mib() - at_rest
    del session
    return held, own_mib() - at_rest


@pytest.mark.parametrize(("num_products", "columns"), [(1, 32768), (8, 4096), (64, 480)])
def test_weights_are_held_once_and_given_back(tmp_path, num_products, columns):
    """In one matrix and in many, because malloc may keep what was freed in pieces; in a process of
    its own, where it has none from before."""
    path = write_products(tmp_path, num_products, columns)
    size = num_products * LENGTH * columns / MIB
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        held, closed = process.submit(hold_and_release, path).result()
    assert size < held < 2.2 * size + 16  # whole huge pages for each matrix
    assert closed < 16


@pytest.mark.parametrize("make", BOTH)
def test_sessions_open_and_close_in_many_threads_at_once(make):
    weights = [make(64, 100, seed=seed) for seed in range(3)]
    x = normal(5, 64)
    expected = [multiply(each, x) for each in weights]

    def open_and_run(call: int) -> None:
        which = call % len(weights)
        np.testing.assert_array_equal(multiply(weights[which], x), expected[which])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(open_and_run, range(120)))
