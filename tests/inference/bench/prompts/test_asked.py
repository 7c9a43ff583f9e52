"""A text on each route."""

from __future__ import annotations

import pytest

from inference.bench.prompts.asked import text_prompt
from inference.bench.record import Prompt


def test_a_chat_is_asked_by_its_user():
    turn = {"role": "user", "content": "hi"}
    assert text_prompt("chat", "hi", max_tokens=3) == Prompt(messages=(turn,), max_tokens=3)


@pytest.mark.parametrize("route", ["completions", "generate", "embeddings"])
def test_the_other_routes_are_asked_the_text_itself(route):
    assert text_prompt(route, "hi", num_tokens=1) == Prompt(text="hi", num_tokens=1)
