"""The int8 checkpoint that `anynode convert --engine vllm` makes, in the real vLLM."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.conversion.request import Request
from serving.conversion.to_w8a8 import convert
from tests.vllm.conftest import DEMO_MODEL, replica
from tests.vllm.exam import LEAST_RIGHT, QUESTIONS, share_right
from tests.vllm.served import MAX_NUM_SEQS, Served


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tmp_path_factory.mktemp("model")
    for path in DEMO_MODEL.iterdir():
        if path.is_file():
            shutil.copy(path, model)
    target = model / "vllm"
    stages: list[str] = []
    made = convert(Request(model, target, "int8"), stages.append)
    assert stages == ["int8", "comparing with the checkpoint"]
    assert made.deviation is not None
    assert made.deviation.error < 0.05
    assert made.deviation.different_answers() == []
    return target


@pytest.fixture(scope="module")
def int8(converted: Path) -> Iterator[Served]:
    with replica(converted) as served:
        yield served


def test_it_is_smaller(converted: Path) -> None:
    weights = "model.safetensors"
    size, was = (folder.joinpath(weights).stat().st_size for folder in (converted, DEMO_MODEL))
    assert size < 0.7 * was


def test_it_answers_right(int8: Served) -> None:
    assert share_right(int8) >= LEAST_RIGHT


def test_company_changes_no_answer(int8: Served) -> None:
    """Each token has a scale of its own."""
    questions = [each["question"] for each in QUESTIONS[:MAX_NUM_SEQS]]
    alone = [int8.answer(question) for question in questions]
    with ThreadPoolExecutor(MAX_NUM_SEQS) as pool:
        assert list(pool.map(int8.answer, questions)) == alone
