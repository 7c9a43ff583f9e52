"""Tool calls: forced by name, required, or found in what the model says of its own accord."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import openai
import pytest

from tests.vllm.served import MODEL, Served

SCHEMA = {
    "type": "object",
    "properties": {"room": {"enum": ["kitchen", "hall"]}, "on": {"type": "boolean"}},
    "required": ["room", "on"],
    "additionalProperties": False,
}
BY_NAME = {"type": "function", "function": {"name": "set_light"}}
FUNCTION = {"name": "set_light", "parameters": SCHEMA}
ASKED: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Light in the hall, please."}],
    "tools": [{"type": "function", "function": FUNCTION}],
    "max_tokens": 250,
    "temperature": 0,
    # The demo model knows no JSON and would fill it up with spaces until its tokens are spent.
    "frequency_penalty": 2,
}
SAYS_A_CALL = (
    r'<tool_call>\n\{"name": "set_light", "arguments": '
    r'\{"room": "(kitchen|hall)", "on": (true|false)\}\}\n</tool_call>'
)


@pytest.mark.parametrize(
    ("choice", "finish_reason"), [(BY_NAME, "stop"), ("required", "tool_calls")]
)
def test_a_call_that_must_be_made_keeps_to_the_schema(rich: Served, choice, finish_reason) -> None:
    # Without `strict` vLLM binds the call's form and name, and its arguments to be any JSON.
    strict = {"tools": [{"type": "function", "function": {**FUNCTION, "strict": True}}]}
    with rich.client() as client:
        answer = client.chat.completions.create(**{**ASKED, **strict}, tool_choice=choice)
    assert answer.choices[0].finish_reason == finish_reason
    [call] = answer.choices[0].message.tool_calls
    assert call.function.name == "set_light"
    jsonschema.validate(json.loads(call.function.arguments), SCHEMA)


def test_a_call_in_the_models_words_is_found(rich: Served) -> None:
    asked = {**ASKED, "extra_body": {"structured_outputs": {"regex": SAYS_A_CALL}}}
    with rich.client() as client:
        whole = client.chat.completions.create(**asked, tool_choice="auto").choices[0]
        with client.chat.completions.create(**asked, tool_choice="auto", stream=True) as stream:
            pieces = [chunk.choices[0] for chunk in stream]
    assert whole.finish_reason == pieces[-1].finish_reason == "tool_calls"
    assert not whole.message.content
    [call] = whole.message.tool_calls
    jsonschema.validate(json.loads(call.function.arguments), SCHEMA)
    parts = [part.function for piece in pieces for part in piece.delta.tool_calls or ()]
    assert "".join(part.name or "" for part in parts) == call.function.name
    assert "".join(part.arguments or "" for part in parts) == call.function.arguments


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_words_without_a_call_stay_words(rich: Served, choice: str) -> None:
    with rich.client() as client:
        answer = client.chat.completions.create(**ASKED, tool_choice=choice)
    assert answer.choices[0].message.content
    assert not answer.choices[0].message.tool_calls


@pytest.mark.parametrize("choice", [BY_NAME, "required", "auto"])
def test_without_a_parser_a_choice_is_refused_with_the_way_out(served: Served, choice) -> None:
    with served.client() as client, pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**ASKED, tool_choice=choice)
    assert caught.value.type == "invalid_request_error"
    assert "engine_kwargs.tool_call_parser" in caught.value.message
