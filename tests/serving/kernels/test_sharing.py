"""Sessions over the same weights hold them once, and the last one to close gives them back."""

from __future__ import annotations

import gc
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
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
    Weights,
    graph_of,
    int8_product,
    int8_weights,
    multiply,
    needs_avx512_vnni,
    normal,
    open_session,
    own_product,
    run,
)

pytestmark = needs_avx512_vnni

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


def hold_and_release(path: Path) -> list[float]:
    """Memory with one session, with two, with one of them closed, and with both: beyond what there
    is at rest."""
    open_session(own_product(int8_weights(64, 64)))  # what the runtime itself keeps
    np.ones(30 * MIB, np.uint8)  # freed at once: from here on malloc keeps pieces up to this size
    at_rest, x, held = own_mib(), normal(3, LENGTH), []
    one = open_session(path)
    held.append(own_mib() - at_rest)
    two = open_session(path)
    held.append(own_mib() - at_rest)
    expected = run(one, x)
    np.testing.assert_array_equal(run(two, x), expected)
    del one
    held.append(own_mib() - at_rest)
    np.testing.assert_array_equal(run(two, x), expected)
    del two
    return [*held, own_mib() - at_rest]


@pytest.mark.parametrize(("num_products", "columns"), [(1, 32768), (8, 4096), (64, 480)])
def test_two_sessions_hold_their_weights_once_and_give_them_back(tmp_path, num_products, columns):
    """In one matrix and in many, because malloc may keep what was freed in pieces; in a process of
    its own, where it has none from before."""
    path = write_products(tmp_path, num_products, columns)
    size = num_products * LENGTH * columns / MIB
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        one, two, one_closed, both_closed = process.submit(hold_and_release, path).result()
    assert size < one < 2.2 * size + 16  # whole huge pages for each matrix
    assert two == pytest.approx(one, abs=16)
    assert one_closed == pytest.approx(one, abs=16)
    assert both_closed < 16


def pairs() -> list[tuple[Weights, Weights]]:
    """Weights that are equal but for one thing."""
    one = int8_weights(64, 128)
    other_value, other_scale = one.values.copy(), one.scales.copy()
    other_value[-1, -1] ^= 1
    other_scale[-1] *= 2
    # The panels' bytes are equal here: beyond K and N they hold what -128 and 0 make.
    padded, scales = one.values.copy(), one.scales.copy()
    padded[60:], padded[:, 120:], scales[120:] = -128, -128, 0
    long, short = replace(one, values=padded, matrix=padded), padded[:60]
    wide, narrow = replace(one, values=padded, scales=scales, matrix=padded), padded[:, :120]
    return [
        (one, replace(one, values=other_value, matrix=other_value)),
        (one, replace(one, scales=other_scale)),
        (long, replace(long, values=short, matrix=short)),
        (wide, Weights(one.operator, narrow, scales[:120], narrow)),
    ]


@pytest.mark.parametrize("pair", pairs(), ids=["a value", "a scale", "K", "N"])
def test_weights_that_differ_in_one_thing_are_not_mixed_up(pair):
    sessions = [open_session(own_product(weights)) for weights in pair]
    for session, weights in zip(sessions, pair, strict=True):
        x = normal(5, len(weights.matrix))
        np.testing.assert_array_equal(run(session, x), int8_product(x, weights))


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
