"""Our attention is ONNX Runtime's but for the float16 of what it remembers, and the same to the bit
however positions come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from serving.kernels.library import DOMAIN, LIBRARY
from tests.serving.kernels.small_graphs import needs_kernels

pytestmark = needs_kernels
CAPACITY = 96
WORDS = {"scale": 0.0, "softcap": 0.0, "local_window_size": -1, "rotary_interleaved": 0}


class Attention:
    """One attention as two graphs, ours and ONNX Runtime's, over random KV memory."""

    def __init__(
        self,
        *,
        num_heads: int = 8,
        kv_heads: int = 2,
        head_dim: int = 64,
        rotary_dim: int | None = None,
        packed: bool = True,
        rows: int = 3,
        num_threads: int = 2,
        **words: float,
    ) -> None:
        self.heads, self.head_dim, self.packed, self.rows = (
            (num_heads, kv_heads),
            head_dim,
            packed,
            rows,
        )
        self.rotary_dim = head_dim if rotary_dim is None else rotary_dim
        self.words = {**WORDS, "num_heads": num_heads, "kv_num_heads": kv_heads, **words}
        random = np.random.default_rng(0)
        memory = random.standard_normal((2, rows, kv_heads, CAPACITY, head_dim))
        self.memory = memory.astype(np.float16)
        new = random.standard_normal((rows, CAPACITY, num_heads + 2 * kv_heads, head_dim))
        self.new = new.astype(np.float16).astype(np.float32)
        self.num_threads = num_threads
        self.ours, self.theirs = self.session(ours=True), self.session(ours=False)

    def session(self, *, ours: bool) -> ort.InferenceSession:
        angles = np.arange(CAPACITY)[:, None] / 100 ** np.linspace(0, 1, self.rotary_dim // 2)
        caches = {"cos": np.cos(angles), "sin": np.sin(angles)}
        weights = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in caches.items()]
        memory, made = ["past_key", "past_value"], ["out", "present_key", "present_value"]
        new = ["packed"] * 3 if self.packed else ["query", "key", "value"]
        positions = ["cos", "sin"]
        if ours:
            read = [*new, *memory, "last", *positions]
            node = helper.make_node("RowsAttention", read, made, domain=DOMAIN, **self.words)
        else:
            new = ["packed", "", ""] if self.packed else new
            read = [*new, *memory, "last", "total", *(positions if self.rotary_dim else ["", ""])]
            node = helper.make_node(
                "GroupQueryAttention",
                read,
                made,
                domain="com.microsoft",
                do_rotary=int(self.rotary_dim > 0),
                **self.words,
            )
        inputs = [
            helper.make_tensor_value_info(name, kind, shape)
            for name, (kind, shape) in self.inputs(ours=ours).items()
            if name in node.input
        ]
        outputs = [
            helper.make_tensor_value_info(made[0], TensorProto.FLOAT, [None] * 3),
            *(
                helper.make_tensor_value_info(name, remembered(ours=ours), [None] * 4)
                for name in made[1:]
            ),
        ]
        graph = helper.make_graph([node], "attention", inputs, outputs, weights)
        opsets = [
            helper.make_opsetid(d, v) for d, v in (("", 21), (DOMAIN, 1), ("com.microsoft", 1))
        ]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.num_threads
        options.log_severity_level = 4
        options.register_custom_ops_library(str(LIBRARY))
        return ort.InferenceSession(model.SerializeToString(), options)

    def inputs(self, *, ours: bool) -> Mapping[str, tuple[int, list[Any]]]:
        memory = (remembered(ours=ours), [None] * 4)
        new = dict.fromkeys(("packed", "query", "key", "value"), (TensorProto.FLOAT, [None] * 3))
        return {
            **new,
            "past_key": memory,
            "past_value": memory,
            "last": (TensorProto.INT32, [None]),
            "total": (TensorProto.INT32, []),
        }

    def feeds(self, rows: list[int], first: list[int], count: int) -> dict[str, np.ndarray]:
        """New positions first … first + count - 1 of some rows, each with its own memory before."""
        num_heads, kv_heads = self.heads
        new = np.stack(
            [self.new[row, at : at + count] for row, at in zip(rows, first, strict=True)]
        )
        parts = np.split(new, [num_heads, num_heads + kv_heads], axis=2)
        flat = [part.reshape(len(rows), count, -1) for part in parts]
        last = np.array(first, np.int32) + count - 1
        return {
            **(
                {"packed": np.concatenate(flat, 2)}
                if self.packed
                else dict(zip(("query", "key", "value"), flat, strict=True))
            ),
            "past_key": self.memory[0, rows].copy(),
            "past_value": self.memory[1, rows].copy(),
            "last": last,
            "total": np.array(last.max() + 1, np.int32),
        }

    def run(self, rows: list[int], first: list[int], count: int, *, ours: bool = True):
        feeds = self.feeds(rows, first, count)
        if not ours:
            feeds |= {name: feeds[name].astype(np.float32) for name in ("past_key", "past_value")}
        session = self.ours if ours else self.theirs
        wanted = {each.name for each in session.get_inputs()}
        return session.run(None, {k: v for k, v in feeds.items() if k in wanted})


def remembered(*, ours: bool) -> int:
    return TensorProto.FLOAT16 if ours else TensorProto.FLOAT


KINDS = [
    {},
    {"packed": False},
    {"num_heads": 4, "kv_heads": 4},
    {"num_heads": 12, "kv_heads": 1, "head_dim": 128},
    {"head_dim": 80, "rotary_dim": 32},
    {"head_dim": 96},
    {"head_dim": 256, "scale": 0.07},
    {"head_dim": 16},
    {"rotary_interleaved": 1},
    {"rotary_dim": 0},
    {"rotary_dim": 0, "local_window_size": 7, "softcap": 3.0, "head_dim": 32},
    {"softcap": 3.0},
    {"local_window_size": 7},
    {"local_window_size": 40, "softcap": 30.0, "packed": False},
]


def close(
    ours: list[np.ndarray], theirs: list[np.ndarray], first: list[int], count: int, *, exact: bool
) -> None:
    """Nothing but rotated keys is rounded where all else is representable in float16."""
    np.testing.assert_allclose(ours[0], theirs[0], rtol=0, atol=3e-5 if exact else 4e-3)
    for mine, other in zip(ours[1:], theirs[1:], strict=True):
        for row, start in enumerate(first):
            end = start + count
            expected = other[row, :, :end].astype(np.float16)
            np.testing.assert_allclose(mine[row, :, :end], expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_it_is_what_onnx_runtime_computes(kind):
    attention = Attention(**kind)
    for rows, first, count in (
        ([0], [0], 1),
        ([1], [0], 37),
        ([2], [0], 90),
        ([0], [50], 1),
        ([0, 1, 2], [20, 3, 77], 1),
    ):
        given = (rows, first, count)
        ours, theirs = attention.run(*given), attention.run(*given, ours=False)
        close(ours, theirs, first, count, exact=attention.rotary_dim == 0)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_position_is_the_same_to_the_bit_alone_in_pieces_and_in_company(kind):
    attention = Attention(**kind)
    whole = attention.run([0], [0], 75)
    attention.memory[0, 0], attention.memory[1, 0] = whole[1][0], whole[2][0]
    for first, count in ((0, 1), (0, 40), (17, 1), (17, 2), (33, 42), (74, 1)):
        out, keys, values = attention.run([0], [first], count)
        np.testing.assert_array_equal(out[0], whole[0][0, first : first + count])
        np.testing.assert_array_equal(keys[0], whole[1][0])
        np.testing.assert_array_equal(values[0], whole[2][0])
    together = attention.run([1, 0, 2], [9, 60, 81], 3)
    np.testing.assert_array_equal(together[0][1], whole[0][0, 60:63])


def test_what_is_in_memory_behind_a_position_is_not_looked_at():
    attention = Attention()
    expected = attention.run([0], [20], 2)[0]
    attention.memory[:, :, :, 22:] = np.nan
    np.testing.assert_array_equal(attention.run([0], [20], 2)[0], expected)


def test_threads_change_nothing():
    results = [Attention(num_threads=n).run([0, 1, 2], [5, 30, 60], 30)[0] for n in (1, 2, 5)]
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.mark.parametrize(
    ("kind", "rows", "first", "count", "words"),
    [
        ({}, [0], [CAPACITY], 1, "outside its memory"),
        ({}, [0], [-1], 1, "outside its memory"),
        ({"head_dim": 24}, [0], [0], 1, "multiple of 16"),
        ({"rotary_dim": 80}, [0], [0], 1, "what is rotated inside"),
    ],
)
def test_bad_input_is_refused(kind, rows, first, count, words):
    attention = Attention(**kind)
    feeds = attention.feeds(rows, [0], count)
    feeds["last"] = np.array(first, np.int32)
    del feeds["total"]
    with pytest.raises(Exception, match=words):
        attention.ours.run(None, feeds)


def test_heads_must_be_a_multiple_of_kv_heads():
    with pytest.raises(Exception, match="heads must be a multiple of KV heads"):
        Attention(num_heads=3, kv_heads=2)


def test_what_float16_cannot_hold_becomes_its_largest():
    attention = Attention(rotary_dim=0)
    attention.new[0, 0, 8:] = 1e6
    _, keys, values = attention.run([0], [0], 1)
    assert (keys[0, :, 0] == 65504).all()
    assert (values[0, :, 0] == 65504).all()
