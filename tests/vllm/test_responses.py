"""OpenAI's newer API, where prompts have no limit but the model's."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.vllm.served import MODEL, Served

QUESTION = "What is the capital of France?"
ASKED: dict[str, Any] = {"model": MODEL, "max_output_tokens": 40, "temperature": 0}


def test_a_response(rich: Served) -> None:
    with rich.client() as client:
        response = client.responses.create(input=QUESTION, **ASKED)
    assert response.status == "completed"
    assert response.output_text == rich.answer(QUESTION)
    assert response.usage.total_tokens == (
        response.usage.input_tokens + response.usage.output_tokens
    )


def test_a_response_that_is_cut_says_so(rich: Served) -> None:
    with rich.client() as client:
        response = client.responses.create(input=QUESTION, **{**ASKED, "max_output_tokens": 2})
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens == 2


def test_a_stream_says_what_the_whole_response_says(rich: Served) -> None:
    with (
        rich.client() as client,
        client.responses.create(input=QUESTION, stream=True, **ASKED) as stream,
    ):
        events = list(stream)
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    said = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(said) > 1
    assert "".join(said) == events[-1].response.output_text == rich.answer(QUESTION)


def test_a_conversation_is_an_input(rich: Served) -> None:
    conversation = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello! How can I help you?"},
        {"role": "user", "content": QUESTION},
    ]
    with rich.client() as client:
        response = client.responses.create(input=conversation, **ASKED)
        alone = client.responses.create(input=QUESTION, **ASKED)
    assert "Paris" in response.output_text
    assert response.usage.input_tokens > alone.usage.input_tokens


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"max_output_tokens": -1}, "max_output_tokens"),
        ({"previous_response_id": "resp_none"}, "previous_response_id"),
        ({"extra_body": {"max_tokens": 2}}, "max_tokens"),
        ({"input": "one " * 2000}, "input"),
    ],
)
def test_what_is_wrong_is_named(rich: Served, wrong, param) -> None:
    with rich.client() as client, pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**{"input": QUESTION, **ASKED, **wrong})
    assert caught.value.param == param
