"""What a body becomes for the engine, and the mistakes the shared contract does not try."""

from __future__ import annotations

import typing
from typing import Any

import pytest

from serving.engine import CAPABILITIES
from serving.errors import InvalidRequest, UnsupportedField
from serving.http.capabilities import NEEDS
from serving.http.chat import understand_chat
from serving.http.completions import understand_completion
from serving.http.job import Job
from serving.http.offer import Offer
from serving.http.protocol import ChatBody, CompletionBody
from serving.http.refusals import CHAT_REFUSED, COMPLETION_REFUSED
from serving.http.settings import FaceSettings
from serving.types import Message

CHAT = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
PROMPT = {"model": "m", "prompt": "x"}


def offer(**settings: Any) -> Offer:
    return Offer(FaceSettings(model_id="m", **settings), "fake", CAPABILITIES)


def chat(**fields: Any) -> Job:
    return understand_chat({**CHAT, **fields}, offer())[0]


def completion(**fields: Any) -> Job:
    return understand_completion({**PROMPT, **fields}, offer())[0]


def test_every_sampling_field_arrives():
    sampling = chat(
        max_completion_tokens=9, min_tokens=2, temperature=1, top_p=0.5, top_k=-1, min_p=0.1,
        seed=-3, presence_penalty=1, frequency_penalty=-1, repetition_penalty=2,
        logit_bias={"7": -100}, stop="a", stop_token_ids=[3], include_stop_str_in_output=True,
        ignore_eos=True, skip_special_tokens=False, logprobs=True, top_logprobs=2,
    ).sampling  # fmt: skip
    assert (sampling.max_tokens, sampling.default_max_tokens, sampling.min_tokens) == (9, None, 2)
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (1.0, 0.5, 0)
    assert (sampling.min_p, sampling.seed, sampling.presence_penalty) == (0.1, -3, 1)
    assert (sampling.frequency_penalty, sampling.repetition_penalty) == (-1, 2)
    assert sampling.logit_bias == {7: -100.0}
    assert (sampling.stop, sampling.stop_token_ids) == (("a",), (3,))
    assert sampling.include_stop_str_in_output
    assert sampling.ignore_eos
    assert not sampling.skip_special_tokens
    assert sampling.logprobs == 2


def test_messages():
    job = chat(
        messages=[
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "a"}], "name": "ann"},
        ]
    )
    assert job.prompts == ((Message("system", "be brief"), Message("user", "a", "ann")),)


def test_defaults_of_the_routes_and_the_deployment():
    assert chat().sampling.default_max_tokens is None
    assert completion().sampling.default_max_tokens == 16
    deployed = offer(default_max_tokens=99, default_temperature=0.3)
    for understand, body in ((understand_chat, CHAT), (understand_completion, PROMPT)):
        sampling = understand(body, deployed)[0].sampling
        assert (sampling.max_tokens, sampling.default_max_tokens) == (None, 99)
        assert sampling.temperature == 0.3


def test_the_four_shapes_of_a_prompt():
    assert completion(prompt="").prompts == ("",)
    assert completion(prompt=["a", "b"]).prompts == ("a", "b")
    assert completion(prompt=[1, 2]).prompts == ((1, 2),)
    assert completion(prompt=[[1], [2, 3]]).prompts == ((1,), (2, 3))


def test_echo_scores_the_prompt_only_with_logprobs():
    assert completion(echo=True, logprobs=0).sampling.prompt_logprobs
    assert not completion(echo=True).sampling.prompt_logprobs


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"min_tokens": 5, "max_tokens": 4}, "min_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 4}, "max_tokens"),
        ({"logit_bias": {"a": 1}}, "logit_bias"),
        ({"logit_bias": {"1": 101}}, "logit_bias.1"),
        ({"logit_bias": [1]}, "logit_bias"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stop": ["x", 1]}, "stop.1"),
        ({"stop": 1}, "stop"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs"),
        ({"seed": 2**63}, "seed"),
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"n": True}, "n"),
        ({"temperature": "1"}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [1]}, "messages.0"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": "x", "nam": 1}]}, "messages.0.nam"),
        ({"stream_options": {"usage": True}, "stream": True}, "stream_options.usage"),
    ],
)
def test_mistakes_name_their_field(fields, param):
    with pytest.raises(InvalidRequest) as caught:
        chat(**fields)
    assert caught.value.param == param
    assert not isinstance(caught.value, UnsupportedField)


@pytest.mark.parametrize("field", sorted(CHAT_REFUSED))
def test_chat_fields_we_know_and_do_not_honour(field):
    with pytest.raises(UnsupportedField) as caught:
        chat(**{field: "something"})
    assert caught.value.param == field
    for nothing in (None, *CHAT_REFUSED[field]):
        chat(**{field: nothing})


@pytest.mark.parametrize("field", sorted(COMPLETION_REFUSED))
def test_completion_fields_we_know_and_do_not_honour(field):
    with pytest.raises(UnsupportedField) as caught:
        completion(**{field: "something"})
    assert caught.value.param == field


def test_parts_that_are_not_text():
    image = [{"type": "image_url", "image_url": {"url": "x"}}]
    with pytest.raises(UnsupportedField, match="image_url"):
        chat(messages=[{"role": "user", "content": image}])


def test_the_tables_do_not_contradict_each_other():
    for body, refused in ((ChatBody, CHAT_REFUSED), (CompletionBody, COMPLETION_REFUSED)):
        assert not body.model_fields.keys() & refused.keys()
    assert {capability for capability, _ in NEEDS.values()} <= CAPABILITIES


def test_every_field_of_the_official_client_is_known():
    from openai.types import CompletionCreateParams
    from openai.types.chat import CompletionCreateParams as ChatCreateParams

    for union, body in ((ChatCreateParams, ChatBody), (CompletionCreateParams, CompletionBody)):
        fields = {name for member in typing.get_args(union) for name in member.__annotations__}
        fields |= {
            name
            for member in typing.get_args(union)
            for base in member.__orig_bases__
            for name in getattr(base, "__annotations__", ())
        }
        assert fields
        assert fields <= body.model_fields.keys() | body.refused.keys()
