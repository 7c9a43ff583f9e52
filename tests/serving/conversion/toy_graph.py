"""A model of one layer as the builder writes them, small enough to read: fp32, made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

VOCAB, HIDDEN, FFN, HEADS, KV_HEADS, HEAD_DIM, CONTEXT = 96, 64, 128, 4, 2, 16, 32
PACKED = (HEADS + 2 * KV_HEADS) * HEAD_DIM
CACHES = ("past_key_values.0.key", "past_key_values.0.value")


def write_toy_graph(folder: Path, *, tied: bool = False) -> Path:
    """Saves the graph with external weights; returns its file."""
    nodes = attention_lengths() + embedding(tied) + layer() + head()
    graph = helper.make_graph(nodes, "toy", inputs(), outputs(), weights(tied))
    opsets = [helper.make_opsetid("", 22), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    path = folder / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    return path


def weights(tied: bool) -> list[TensorProto]:
    random = np.random.default_rng(0)

    def normal(*shape: int) -> Any:
        return (random.standard_normal(shape) * 0.3).astype(np.float32)

    angles = np.arange(CONTEXT)[:, None] / 100 ** (np.arange(HEAD_DIM // 2) / (HEAD_DIM // 2))
    arrays = {
        "norm": np.ones(HIDDEN, np.float32),
        "cos": np.cos(angles).astype(np.float32),
        "sin": np.sin(angles).astype(np.float32),
        "qkv": normal(HIDDEN, PACKED),
        "o": normal(HEADS * HEAD_DIM, HIDDEN),
        "gate": normal(HIDDEN, FFN),
        "up": normal(HIDDEN, FFN),
        "down": normal(FFN, HIDDEN),
        "lm_head": normal(HIDDEN, VOCAB),
    }
    if not tied:
        arrays["table"] = normal(VOCAB, HIDDEN)
    return [numpy_helper.from_array(array, name) for name, array in arrays.items()]


def inputs() -> list[Any]:
    caches = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", KV_HEADS, "past", HEAD_DIM])
        for name in CACHES
    ]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["B", "T"])
    mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["B", "total"])
    return [ids, mask, *caches]


def outputs() -> list[Any]:
    presents = [name.replace("past_key_values", "present") for name in CACHES]
    return [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", "T", VOCAB])] + [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", KV_HEADS, "total", HEAD_DIM])
        for name in presents
    ]


def attention_lengths() -> list[Any]:
    """Row sums less one and the width of the mask, as the builder derives them."""
    one = numpy_helper.from_array(np.array([1], np.int64))
    second = numpy_helper.from_array(np.array(1, np.int64))
    return [
        helper.make_node("Constant", [], ["one"], value=one),
        helper.make_node("ReduceSum", ["attention_mask", "one"], ["sums"], keepdims=0),
        helper.make_node("Sub", ["sums", "one"], ["last"]),
        helper.make_node("Cast", ["last"], ["lasts"], to=TensorProto.INT32),
        helper.make_node("Shape", ["attention_mask"], ["mask_shape"]),
        helper.make_node("Constant", [], ["second"], value=second),
        helper.make_node("Gather", ["mask_shape", "second"], ["width"]),
        helper.make_node("Cast", ["width"], ["total"], to=TensorProto.INT32),
    ]


def embedding(tied: bool) -> list[Any]:
    lookup = helper.make_node("Gather", ["table", "input_ids"], ["x"], name="embed")
    if not tied:
        return [lookup]
    return [helper.make_node("Transpose", ["lm_head"], ["table"], perm=[1, 0]), lookup]


def layer() -> list[Any]:
    norm = {"epsilon": 1e-5, "axis": -1, "stash_type": 1}
    attended = ["attended", *(name.replace("past_key_values", "present") for name in CACHES)]
    gqa = helper.make_node(
        "GroupQueryAttention",
        ["packed", "", "", *CACHES, "lasts", "total", "cos", "sin"],
        attended,
        domain="com.microsoft",
        num_heads=HEADS,
        kv_num_heads=KV_HEADS,
        do_rotary=1,
    )
    return [
        helper.make_node("SimplifiedLayerNormalization", ["x", "norm"], ["normed"], **norm),
        helper.make_node("MatMul", ["normed", "qkv"], ["packed"], name="qkv_proj"),
        gqa,
        helper.make_node("MatMul", ["attended", "o"], ["o_out"], name="o_proj"),
        skip_norm(["x", "o_out", "norm"], ["normed_2", "", "", "residual"]),
        helper.make_node("MatMul", ["normed_2", "gate"], ["gate_out"], name="gate_proj"),
        helper.make_node("MatMul", ["normed_2", "up"], ["up_out"], name="up_proj"),
        helper.make_node("Sigmoid", ["gate_out"], ["gate_sigmoid"]),
        helper.make_node("Mul", ["gate_out", "gate_sigmoid"], ["gate_silu"]),
        helper.make_node("Mul", ["gate_silu", "up_out"], ["inner"]),
        helper.make_node("MatMul", ["inner", "down"], ["down_out"], name="down_proj"),
    ]


def head() -> list[Any]:
    return [
        skip_norm(["residual", "down_out", "norm"], ["final"]),
        helper.make_node("MatMul", ["final", "lm_head"], ["logits"], name="lm_head_proj"),
    ]


def skip_norm(read: list[str], made: list[str]) -> Any:
    return helper.make_node(
        "SkipSimplifiedLayerNormalization", read, made, domain="com.microsoft", epsilon=1e-5
    )
