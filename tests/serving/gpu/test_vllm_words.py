"""serving.gpu.vllm_words and vllm_errors: vLLM's words and ours."""

from __future__ import annotations

import json

import pytest

from serving.errors import (
    ContextTooLong,
    EngineDead,
    InvalidRequest,
    ModelNotFound,
    ServingError,
    UnsupportedField,
)
from serving.gpu.vllm_errors import as_serving_error
from serving.gpu.vllm_words import command_words, one_sentence


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": "a b"}, ["--model=a b"]),
        ({"enforce_eager": True}, ["--enforce-eager"]),
        ({"enable_prefix_caching": False}, ["--no-enable-prefix-caching"]),
        ({"served_model_name": ["a", "b"]}, ["--served-model-name", "a", "b"]),
        ({"hf_overrides": {"a": [1]}}, ['--hf-overrides={"a": [1]}']),
        ({"seed": 7, "swap": 0.5}, ["--seed=7", "--swap=0.5"]),
        ({"quantization": None}, []),
        ({"disable_log_stats": False}, []),  # it has no opposite, and is the default
        ({"max_logprobs": True}, ["--max-logprobs"]),  # for vLLM to refuse: True is not 1
    ],
)
def test_arguments_become_a_command_line(arguments, words):
    defaults = {"disable_log_stats": False, "max_logprobs": 1}
    assert command_words(arguments, defaults) == words


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "1 validation error for ModelConfig\n  Value error, no such thing [type=value_error, "
            "input=…]\n    For further information visit https://errors",
            "no such thing",
        ),
        ("two\nlines", "two lines"),
        ("There is no kernel. Reasons:", "There is no kernel."),
        ("Choose one of:", "Choose one of:"),
    ],
)
def test_errors_become_one_sentence(text, sentence):
    assert one_sentence(text) == sentence


def test_endless_errors_are_cut():
    assert len(one_sentence("x" * 10_000)) < 500


def answered(status, message, param=None, fields=()):
    body = json.dumps({"error": {"message": message, "param": param, "code": status}}).encode()
    return as_serving_error(status, body, fields)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "This model's maximum context length is 9 tokens.", ContextTooLong),
        (404, "The model `x` does not exist.", ModelNotFound),
        (400, "anything", InvalidRequest),
        (501, "The model does not support Completions API", UnsupportedField),
        (503, "going away", EngineDead),
        (500, "broken", ServingError),
    ],
)
def test_each_answer_has_its_error(status, message, kind):
    error = answered(status, message)
    assert type(error) is kind
    assert error.message == message


@pytest.mark.parametrize(
    ("message", "param", "fields", "expected"),
    [
        ("n must be at least 1, got 0.", None, {"n", "prompt"}, "n"),
        ("You must pass at least one prompt", None, {"model", "prompt"}, "prompt"),
        ("This model's prompt and stop differ", None, {"prompt", "stop"}, None),
        ("wrong", "body.messages.0.content", (), "messages.0.content"),
        ("wrong", "body", (), None),
        ("too small", "max_tokens", {"input", "max_output_tokens"}, "max_output_tokens"),
        ("too small", "max_tokens", {"prompt", "max_tokens"}, "max_tokens"),
        ("not found", "response_id", {"previous_response_id"}, "previous_response_id"),
    ],
)
def test_the_field_is_found(message, param, fields, expected):
    assert answered(400, message, param, fields).param == expected


def test_a_prompt_that_is_too_long_is_called_as_its_caller_does():
    error = answered(400, "maximum context length", "input_tokens", {"model", "messages"})
    assert (error.param, error.code) == ("messages", "context_length_exceeded")


def test_pydantics_lists_become_one_sentence():
    message = (
        "2 validation errors:\n  {'type': 'missing', 'loc': 'body.messages', 'msg': "
        "'Field required', 'input': {}}\n  {'type': 'x'}"
    )
    error = answered(400, message, "body.messages")
    assert error.message == "messages: Field required."


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "no"}', b'{"detail": "x"}'])
def test_answers_of_another_shape_are_errors_too(body):
    assert "status 400" in as_serving_error(400, body).message


def test_flags_of_a_command_line_are_called_as_here():
    error = answered(400, "this requires --tool-call-parser to be set -- or else")
    assert error.message == "this requires engine_kwargs.tool_call_parser to be set -- or else"


def test_vllms_notes_are_left_out():
    error = answered(400, "too long. (parameter=max_tokens, value=9)")
    assert error.message == "too long."
