"""vLLM answers what the demo model was taught, and what transformers makes of the same weights."""

from __future__ import annotations

import pytest

from tests.vllm.exam import LEAST_RIGHT, share_right
from tests.vllm.reference import Reference
from tests.vllm.served import Served


def test_it_answers_what_it_was_taught(served: Served) -> None:
    assert share_right(served) >= LEAST_RIGHT


@pytest.mark.parametrize("question", ["Hello", "What is 7 - 2?", "Tell me a story."])
def test_in_32_bits_it_says_what_the_reference_says(rich: Served, question: str) -> None:
    assert rich.answer(question, max_tokens=40) == Reference().answer(question, 40)
