"""One toy graph, run as the builder wrote it and as our passes leave it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from serving.conversion.graph import Graph
from tests.serving.conversion.toy_graph import CACHES, HEAD_DIM, KV_HEADS, write_toy_graph


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "fp32"
    folder.mkdir()
    return write_toy_graph(folder)


@pytest.fixture
def graph(source: Path, tmp_path: Path) -> Iterator[Graph]:
    target = tmp_path / "made"
    target.mkdir()
    with Graph(source, target) as graph:
        yield graph


def session(path: Path) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def no_past(batch: int) -> dict[str, np.ndarray]:
    return {name: np.zeros((batch, KV_HEADS, 0, HEAD_DIM), np.float32) for name in CACHES}


def run_fp32(path: Path, ids: np.ndarray) -> np.ndarray:
    """Logits [B, T, vocab] of whole prompts."""
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)} | no_past(len(ids))
    return np.asarray(session(path).run(["logits"], feed)[0])


def run_steps(path: Path, ids: np.ndarray, positions: list[int]) -> np.ndarray:
    """Logits [K, vocab] of the positions among the B * T."""
    batch, length = ids.shape
    feed = {
        "input_ids": ids,
        "seqlens_k": np.full(batch, length - 1, np.int32),
        "total_sequence_length": np.array(length, np.int32),
        "logit_positions": np.array(positions, np.int64),
    }
    return np.asarray(session(path).run(["logits"], feed | no_past(batch))[0])
