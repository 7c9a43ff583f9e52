"""A LoRA adapter is a model of its own name beside the one it changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest

from tests.vllm.adapter import Adapter
from tests.vllm.conftest import Refused, replica
from tests.vllm.reference import Reference
from tests.vllm.served import ADAPTER, MODEL, Served

QUESTIONS = ["Hello", "What is 2 + 2?", "Tell me a story.", "What is the capital of Peru?"]
MAX_TOKENS = 24


def test_both_are_listed(rich: Served) -> None:
    with rich.client() as client:
        assert [model.id for model in client.models.list()] == [MODEL, ADAPTER]


def test_each_name_answers_with_its_own_weights_in_one_batch(
    rich: Served, adapter: Adapter
) -> None:
    base, merged = Reference(), Reference()
    merged.add(adapter.deltas)
    expected = {
        (name, question): reference.answer(question, MAX_TOKENS)
        for question in QUESTIONS
        for name, reference in ((MODEL, base), (ADAPTER, merged))
    }
    assert expected[ADAPTER, "What is 2 + 2?"] != expected[MODEL, "What is 2 + 2?"]
    with ThreadPoolExecutor(len(expected)) as pool:
        answers = pool.map(lambda asked: rich.answer(asked[1], asked[0], MAX_TOKENS), expected)
    assert dict(zip(expected, answers, strict=True)) == expected


def test_other_names_are_told_both(rich: Served) -> None:
    with rich.client() as client, pytest.raises(openai.NotFoundError) as caught:
        client.completions.create(model="stranger", prompt="Hello")
    assert caught.value.code == "model_not_found"
    assert MODEL in caught.value.message
    assert ADAPTER in caught.value.message


def test_a_folder_without_an_adapter_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(Refused, match=r"lora_adapters: .* holds no adapter \(adapter_config\.json"),
        replica(lora_adapters={ADAPTER: str(tmp_path)}),
    ):
        pass
