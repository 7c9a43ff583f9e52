"""Products with our operators: what the formulas say, blind to neighbours and to threads, and words
for what they cannot multiply."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from serving.conversion.blocks_int4 import BLOCK
from serving.kernels.library import DOMAIN
from tests.serving.kernels.small_graphs import (
    BOTH,
    INVERSE_MAX,
    Weights,
    graph_of,
    int4_product,
    int4_weights,
    int8_product,
    int8_weights,
    matmul_n_bits,
    multiply,
    needs_kernels,
    normal,
    open_session,
    own_product,
    run,
    write_int8_graph,
)

pytestmark = needs_kernels

ROWS = (*range(1, 15), 31, 97, 200)  # a task takes 96 rows, and a panel is read for 6 at a time
INT8_SHAPES = [(1, 1), (3, 5), (32, 64), (33, 65), (50, 100), (160, 127), (301, 16)]
INT4_SHAPES = [(32, 1), (32, 32), (64, 33), (96, 100), (320, 48)]
TINY = np.finfo(np.float32).smallest_subnormal


@pytest.mark.parametrize("num_rows", ROWS)
@pytest.mark.parametrize("shape", INT8_SHAPES)
def test_int8_gives_what_the_formula_says_to_the_bit(shape, num_rows):
    weights, x = int8_weights(*shape), normal(num_rows, shape[0], seed=num_rows)
    np.testing.assert_array_equal(multiply(weights, x), int8_product(x, weights))


@given(st.integers(1, 200), st.integers(1, 150), st.lists(st.integers(0, 5), max_size=3))
@settings(deadline=None, max_examples=60)
def test_int8_takes_any_shape(length, columns, leading):
    weights, x = int8_weights(length, columns), normal(*leading, length)
    y = multiply(weights, x)
    assert y.shape == (*leading, columns)
    np.testing.assert_array_equal(y, int8_product(x, weights))


@pytest.mark.parametrize("leading", [(1, 1), (1, 7), (3, 5), (2, 50), (97, 1), (1, 200)])
@pytest.mark.parametrize("shape", [(32, 32), (33, 65), (100, 130), (257, 300)])
def test_int8_gives_what_onnxruntimes_own_operators_give_to_the_bit(shape, leading, tmp_path):
    x = normal(*leading, shape[0], seed=1)
    x[0, 0] = 0
    own_operators = open_session(write_int8_graph(tmp_path, normal(*shape)))
    ids = np.zeros(leading, np.int64)
    (expected,) = own_operators.run(None, {"x": x, "input_ids": ids})
    np.testing.assert_array_equal(multiply(int8_weights(*shape), x), expected)


def assert_close_to_exact(y: np.ndarray, x: np.ndarray, weights: Weights) -> None:
    expected, sizes = int4_product(x, weights)
    assert y.shape == expected.shape
    assert (np.abs(y - expected) <= 1e-6 * sizes + TINY).all()


@pytest.mark.parametrize("num_rows", ROWS)
@pytest.mark.parametrize("shape", INT4_SHAPES)
def test_int4_is_off_by_its_sums_rounding_alone(shape, num_rows):
    weights, x = int4_weights(*shape), normal(num_rows, shape[0], seed=num_rows)
    assert_close_to_exact(multiply(weights, x), x, weights)


@given(st.integers(1, 6), st.integers(1, 100), st.lists(st.integers(0, 5), max_size=3))
@settings(deadline=None, max_examples=60)
def test_int4_takes_any_shape_of_whole_blocks(num_blocks, columns, leading):
    weights = int4_weights(num_blocks * BLOCK, columns)
    x = normal(*leading, num_blocks * BLOCK)
    assert_close_to_exact(multiply(weights, x), x, weights)


def test_int4_is_near_onnxruntimes_own_operator():
    """Which rounds activations by the block, ours by the row."""
    weights, x = int4_weights(512, 200), normal(50, 512, seed=1)
    expected = run(open_session(matmul_n_bits(weights)), x)
    difference = multiply(weights, x) - expected
    assert np.sqrt((difference**2).mean()) < 0.015 * expected.std()


@pytest.mark.parametrize("make", BOTH)
def test_every_weight_has_its_own_place(make):
    """A row with one value picks a row of the matrix, whose values nearly all differ."""
    weights = make(64, 150)
    scales = weights.scales.reshape(150, -1)
    expected = weights.matrix * scales.repeat(64 // scales.shape[1], axis=1).T
    np.testing.assert_allclose(multiply(weights, np.eye(64, dtype=np.float32)), expected, rtol=1e-6)


def rows_of_extremes(length: int) -> np.ndarray:
    """Zeros, sizes at both ends, both in one row, sums as large as they get, halves to round."""
    x = normal(12, length, seed=2)
    x[0] = 0
    x[1] *= 1e30
    x[2] *= 1e-30
    x[3] *= 1e-38  # below what floats hold with all their digits
    x[4] = TINY
    x[5] = TINY * np.arange(length).astype(np.float32)
    x[6, ::2], x[6, 1::2] = 1e30, 1e-30
    x[7] = np.finfo(np.float32).max
    x[8, ::2], x[8, 1::2] = 1, -1
    x[9] = np.arange(length) - length // 2 + 0.5
    x[9, 0] = 127
    x[10, 1:] = 0
    x[11] = -200 * TINY  # 127 steps of its scale, the smallest, would not reach it
    return x


@pytest.mark.parametrize("length", [32, 50, 160])
def test_int8_keeps_to_the_formula_at_the_ends_of_what_floats_hold(length):
    weights, x = int8_weights(length, 70), rows_of_extremes(length)
    y = multiply(weights, x)
    np.testing.assert_array_equal(y, int8_product(x, weights))
    assert not y[0].any()


def test_int8_rounds_halves_to_the_even_as_a_division_does():
    """Multiplying by the inverse of the scale would miss some of them."""
    largest = normal(100, 1, seed=4)
    scale = np.abs(largest) * INVERSE_MAX
    halves = np.arange(-126, 126, dtype=np.float32) + np.float32(0.5)
    x = np.concatenate([largest, halves * scale], axis=1)
    weights = int8_weights(x.shape[1], 20)
    assert (x / scale % 1 == 0.5).mean() > 0.5
    np.testing.assert_array_equal(multiply(weights, x), int8_product(x, weights))


@pytest.mark.parametrize("length", [32, 160])
def test_int4_keeps_to_the_formula_at_the_ends_of_what_floats_hold(length):
    weights, x = int4_weights(length, 70), rows_of_extremes(length)
    y = multiply(weights, x)
    assert not np.isnan(y).any()
    assert not y[0].any()
    within = np.abs(x).max(axis=1) < 1e38  # results are floats too
    assert_close_to_exact(y[within], x[within], weights)


def test_int8_of_the_largest_sums_there_are():
    length = 20_000
    matrix = np.full((length, 2), 127, np.int8)
    matrix[:, 1] = -128
    weights = Weights("RowInt8MatMul", matrix, np.ones(2, np.float32), matrix)
    x = np.ones((2, length), np.float32)
    x[1] = -1
    np.testing.assert_array_equal(multiply(weights, x), int8_product(x, weights))


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("place", [0, 5, 16, 63])
def test_a_row_with_a_nan_gives_nan_and_leaves_its_neighbours_alone(make, place):
    session = open_session(own_product(make(64, 70)))
    x = normal(9, 64)
    expected = run(session, x)
    x[4, place] = np.nan
    expected[4] = np.nan
    np.testing.assert_array_equal(run(session, x), expected)


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("num_rows", ROWS)
def test_a_row_gives_the_same_alone_and_in_any_company(make, num_rows):
    session, x = open_session(own_product(make(160, 100))), normal(num_rows, 160, seed=3)
    alone = [run(session, row[None])[0] for row in x]
    np.testing.assert_array_equal(run(session, x), alone)


@pytest.mark.parametrize("make", BOTH)
def test_what_other_rows_hold_never_changes_a_row(make):
    session, x = open_session(own_product(make(160, 100))), normal(23, 160, seed=3)
    before = run(session, x)
    for kept in (0, 7, 22):
        for others in (0, np.nan, np.inf, 1e30, 1e-40):
            changed = np.full_like(x, others)
            changed[kept] = x[kept]
            np.testing.assert_array_equal(run(session, changed)[kept], before[kept])


@pytest.mark.parametrize("make", BOTH)
def test_the_number_of_threads_changes_nothing(make):
    weights = make(160, 300)
    for num_rows in (1, 7, 8, 200):
        x = normal(num_rows, 160, seed=num_rows)
        expected = multiply(weights, x)
        for num_threads in (2, 4):
            np.testing.assert_array_equal(multiply(weights, x, num_threads), expected)


@pytest.mark.parametrize("make", BOTH)
def test_calls_from_many_threads_at_once_do_not_meet(make):
    session = open_session(own_product(make(160, 300)), num_threads=2)
    calls = [normal(1 + seed % 40, 160, seed=seed) for seed in range(60)]
    expected = [run(session, x) for x in calls]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(3):
            found = list(threads.map(lambda x: run(session, x), calls))
            for each, wanted in zip(found, expected, strict=True):
                np.testing.assert_array_equal(each, wanted)


@pytest.mark.parametrize("make", BOTH)
def test_one_result_can_be_anothers_x(make):
    first, second = make(64, 96, seed=1), make(96, 50, seed=2)
    nodes, constants, x = [], {}, "x"
    for name, weights in (("first", first), ("second", second)):
        read = [x, f"{name}/weights", f"{name}/scales"]
        nodes.append(helper.make_node(weights.operator, read, [name], domain=DOMAIN))
        constants |= {read[1]: weights.values, read[2]: weights.scales}
        x = name
    session = open_session(graph_of(nodes, constants, {"x": (TensorProto.FLOAT, None)}))
    x = normal(10, 64)
    np.testing.assert_array_equal(run(session, x), multiply(second, multiply(first, x)))


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("shape", [(3, 63), (3, 65), (64, 3), (63,), (), (3, 0)])
def test_x_of_another_length_is_refused_and_the_session_goes_on(make, shape):
    session, x = open_session(own_product(make(64, 50))), normal(3, 64)
    expected = run(session, x)
    with pytest.raises(Exception, match=r"x must be \[\.\., K\], as the weights say"):
        run(session, np.ones(shape, np.float32))
    np.testing.assert_array_equal(run(session, x), expected)


@pytest.mark.parametrize("make", BOTH)
def test_x_has_at_most_eight_dimensions(make):
    session, x = open_session(own_product(make(64, 50))), normal(2, 64)
    eight = run(session, x.reshape(1, 1, 1, 1, 1, 1, 2, 64))
    np.testing.assert_array_equal(eight.reshape(2, 50), run(session, x))
    with pytest.raises(Exception, match="an input has too many dimensions"):
        run(session, x.reshape(1, 1, 1, 1, 1, 1, 1, 2, 64))
    np.testing.assert_array_equal(run(session, x), eight.reshape(2, 50))


def test_int4_wants_whole_blocks():
    """The last block of these is padded; the operator takes K to be all of it."""
    session = open_session(own_product(int4_weights(50, 40)))
    with pytest.raises(Exception, match=r"x must be \[\.\., K\], as the weights say"):
        run(session, normal(3, 50))


def refuse(model, words: str) -> None:
    with pytest.raises(Exception, match=words):
        open_session(model)
    x, weights = normal(3, 64), int8_weights(64, 50)
    np.testing.assert_array_equal(multiply(weights, x), int8_product(x, weights))


INT8_WORDS = r"int8: weights are \[K, N\], scales \[N\]"
INT4_WORDS = r"int4: weights are \[N, blocks, 16\], scales \[N \* blocks\]"


@pytest.mark.parametrize(
    ("weights_shape", "scales_shape"),
    [
        ((64, 50), (49,)),
        ((64, 50), (64,)),
        ((64, 50), (1, 50)),
        ((64, 50), ()),
        ((64, 50), (0,)),
        ((3200,), (50,)),
        ((1, 64, 50), (50,)),
        ((1,) * 7 + (64, 50), (50,)),
    ],
)
def test_int8_weights_of_another_shape_are_refused(weights_shape, scales_shape):
    words = INT8_WORDS if len(weights_shape) <= 8 else "an input has too many dimensions"
    values, scales = np.ones(weights_shape, np.int8), np.ones(scales_shape, np.float32)
    refuse(own_product(Weights("RowInt8MatMul", values, scales, values)), words)


def test_int8_rows_whose_sums_would_not_fit_are_refused():
    values, scales = np.ones((2**31 // 127**2 + 1, 1), np.int8), np.ones(1, np.float32)
    words = "int8: K is too large for sums of 32 bits"
    refuse(own_product(Weights("RowInt8MatMul", values, scales, values)), words)


@pytest.mark.parametrize(
    ("weights_shape", "scales_shape"),
    [
        ((50, 2, 16), (99,)),
        ((50, 2, 16), (50, 2)),
        ((50, 2, 16), (2,)),
        ((50, 2, 16), ()),
        ((50, 4, 8), (200,)),
        ((50, 1, 32), (50,)),
        ((50, 32), (100,)),
    ],
)
def test_int4_weights_of_another_shape_are_refused(weights_shape, scales_shape):
    values, scales = np.ones(weights_shape, np.uint8), np.ones(scales_shape, np.float32)
    refuse(own_product(Weights("RowInt4MatMul", values, scales, values)), INT4_WORDS)


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("name", ["weights", "scales"])
def test_weights_and_scales_that_a_caller_gives_are_refused(make, name):
    weights = make(64, 50)
    model = own_product(weights)
    given = next(each for each in model.graph.initializer if each.name == name)
    model.graph.input.append(helper.make_tensor_value_info(name, given.data_type, given.dims))
    refuse(model, "weights and scales must be constant")  # a caller may replace its value
    model.graph.initializer.remove(given)
    refuse(model, "weights and scales must be constant")


@pytest.mark.parametrize("make", BOTH)
def test_weights_of_another_type_are_refused(make):
    weights = make(64, 50)
    refuse(own_product(replace(weights, values=weights.values.astype(np.int16))), "weights")
    refuse(own_product(replace(weights, scales=weights.scales.astype(np.float64))), "scales")
