"""The HTTP contract: what every model we serve answers, judged by the official `openai` client.

To run it against something, a test module says::

    from tests.contract.http_contract import *  # noqa: F403

    @pytest.fixture(scope="module")
    def endpoint() -> Iterator[Endpoint]:
        yield Endpoint(base_url="http://127.0.0.1:8000/v1", model="my-model")

No test assumes what the model says, only that it says something: shapes, counts, ends, errors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import openai
import pytest

from serving.engine import CAPABILITIES

__all__ = [
    "Endpoint",
    "TestBadRequests",
    "TestChat",
    "TestChatStream",
    "TestCompletions",
    "TestCompletionStream",
    "TestModels",
    "TestSampling",
    "TestStop",
    "client",
]

MESSAGES = [{"role": "user", "content": "Count from one to twenty, please."}]
PROMPT = "one two three four five six seven eight"
ON_AND_ON = {"ignore_eos": True}  # so that even a model of few words says enough to be stopped


@dataclass(frozen=True)
class Endpoint:
    """What is under test."""

    base_url: str  # ends in /v1
    model: str
    api_key: str = "none"
    capabilities: frozenset[str] = CAPABILITIES

    def need(self, *capabilities: str) -> None:
        missing = set(capabilities) - self.capabilities
        if missing:
            pytest.skip(f"the engine has no {', '.join(sorted(missing))}")

    def post(self, path: str, body: object) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.api_key}"}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.post(self.base_url + path, content=content, headers=headers, timeout=120)


@pytest.fixture(scope="module")
def client(endpoint: Endpoint) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=endpoint.base_url, api_key=endpoint.api_key, max_retries=0, timeout=120
    ) as made:
        yield made


def check_usage(usage, *, most_completion_tokens):
    assert usage.prompt_tokens > 0
    assert 0 <= usage.completion_tokens <= most_completion_tokens
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


class TestModels:
    def test_the_model_is_listed(self, client, endpoint):
        assert endpoint.model in [model.id for model in client.models.list()]

    def test_the_model_can_be_asked_for(self, client, endpoint):
        model = client.models.retrieve(endpoint.model)
        assert (model.id, model.object) == (endpoint.model, "model")

    def test_an_unknown_model_is_not_found(self, client):
        with pytest.raises(openai.NotFoundError) as caught:
            client.models.retrieve("no-such-model")
        assert caught.value.code == "model_not_found"


class TestChat:
    def test_an_answer(self, client, endpoint):
        answer = client.chat.completions.create(
            model=endpoint.model, messages=MESSAGES, max_tokens=5, temperature=0
        )
        assert answer.object == "chat.completion"
        assert answer.id.startswith("chatcmpl-")
        assert answer.created > 0
        assert answer.model
        [choice] = answer.choices
        assert choice.index == 0
        assert choice.message.role == "assistant"
        assert isinstance(choice.message.content, str)
        assert choice.finish_reason in ("stop", "length")
        assert choice.logprobs is None
        check_usage(answer.usage, most_completion_tokens=5)

    def test_max_tokens_ends_it(self, client, endpoint):
        endpoint.need("ignore_eos")
        for field in ("max_tokens", "max_completion_tokens"):
            answer = client.chat.completions.create(
                model=endpoint.model,
                messages=MESSAGES,
                extra_body={"ignore_eos": True},
                **{field: 3},
            )
            assert answer.choices[0].finish_reason == "length"
            assert answer.usage.completion_tokens == 3

    def test_n_choices_share_a_prompt(self, client, endpoint):
        one = client.chat.completions.create(model=endpoint.model, messages=MESSAGES, max_tokens=3)
        three = client.chat.completions.create(
            model=endpoint.model, messages=MESSAGES, max_tokens=3, n=3
        )
        assert [choice.index for choice in three.choices] == [0, 1, 2]
        assert three.usage.prompt_tokens == one.usage.prompt_tokens
        check_usage(three.usage, most_completion_tokens=9)

    def test_content_as_parts_is_the_same_prompt(self, client, endpoint):
        parts = [{"type": "text", "text": "Count from one "}, {"type": "text", "text": "to ten."}]
        whole = [{"role": "user", "content": "Count from one to ten."}]
        split = [{"role": "user", "content": parts}]
        counts = [
            client.chat.completions.create(model=endpoint.model, messages=messages, max_tokens=1)
            for messages in (whole, split)
        ]
        assert counts[0].usage.prompt_tokens == counts[1].usage.prompt_tokens

    def test_a_conversation(self, client, endpoint):
        answer = client.chat.completions.create(
            model=endpoint.model,
            max_tokens=4,
            messages=[
                *MESSAGES,
                {"role": "assistant", "content": "One.", "refusal": None, "tool_calls": None},
                {"role": "user", "content": "Go on."},
            ],
        )
        assert answer.choices[0].finish_reason in ("stop", "length")

    def test_fields_that_say_nothing_are_fine(self, client, endpoint):
        answer = client.chat.completions.create(
            model=endpoint.model,
            messages=MESSAGES,
            max_tokens=2,
            user="someone",
            response_format={"type": "text"},
            stop=None,
            seed=None,
            n=None,
            store=False,
        )
        assert len(answer.choices) == 1

    def test_logprobs(self, client, endpoint):
        endpoint.need("logprobs")
        answer = client.chat.completions.create(
            model=endpoint.model, messages=MESSAGES, max_tokens=4, logprobs=True, top_logprobs=3
        )
        choice = answer.choices[0]
        tokens = choice.logprobs.content
        assert "".join(token.token for token in tokens) == choice.message.content
        for token in tokens:
            assert -9999 <= token.logprob <= 0
            assert 1 <= len(token.top_logprobs) <= 3
            assert token.bytes is None or bytes(token.bytes).decode() == token.token
            likelihoods = [top.logprob for top in token.top_logprobs]
            assert likelihoods == sorted(likelihoods, reverse=True)


class TestChatStream:
    def test_the_order_of_events(self, client, endpoint):
        with client.chat.completions.create(
            model=endpoint.model, messages=MESSAGES, max_tokens=6, stream=True
        ) as stream:
            chunks = list(stream)
        assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
        assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
        first, *between, last = [chunk.choices[0] for chunk in chunks]
        assert first.delta.role == "assistant"
        assert first.delta.content == ""
        assert all(choice.delta.role is None for choice in between)
        assert all(choice.finish_reason is None for choice in (first, *between))
        assert last.finish_reason in ("stop", "length")
        assert not last.delta.content
        assert all(chunk.usage is None for chunk in chunks)

    def test_greedy_streams_say_what_whole_answers_say(self, client, endpoint):
        asked = {"model": endpoint.model, "messages": MESSAGES, "max_tokens": 8, "temperature": 0}
        whole = client.chat.completions.create(**asked)
        with client.chat.completions.create(
            **asked, stream=True, stream_options={"include_usage": True}
        ) as stream:
            chunks = list(stream)
        said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert said == whole.choices[0].message.content
        assert chunks[-1].choices == []
        assert chunks[-1].usage == whole.usage
        assert all(chunk.usage is None for chunk in chunks[:-1])

    def test_the_wire(self, endpoint):
        answer = endpoint.post(
            "/chat/completions",
            {"model": endpoint.model, "messages": MESSAGES, "max_tokens": 2, "stream": True},
        )
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = answer.text.split("\n\n")
        assert events[-2:] == ["data: [DONE]", ""]
        assert all(event.startswith("data: {") for event in events[:-2])

    def test_each_of_n_choices_is_complete(self, client, endpoint):
        with client.chat.completions.create(
            model=endpoint.model, messages=MESSAGES, max_tokens=4, n=2, stream=True
        ) as stream:
            choices = [chunk.choices[0] for chunk in stream]
        for index in (0, 1):
            own = [choice for choice in choices if choice.index == index]
            assert own[0].delta.role == "assistant"
            assert [c.finish_reason for c in own if c.finish_reason] == [own[-1].finish_reason]

    def test_logprobs(self, client, endpoint):
        endpoint.need("logprobs")
        with client.chat.completions.create(
            model=endpoint.model, messages=MESSAGES, max_tokens=4, logprobs=True, stream=True
        ) as stream:
            choices = [chunk.choices[0] for chunk in stream]
        said = "".join(choice.delta.content or "" for choice in choices)
        tokens = [token for c in choices if c.logprobs for token in c.logprobs.content]
        assert "".join(token.token for token in tokens) == said


class TestCompletions:
    def test_an_answer(self, client, endpoint):
        answer = client.completions.create(model=endpoint.model, prompt=PROMPT, max_tokens=5)
        assert answer.object == "text_completion"
        assert answer.id.startswith("cmpl-")
        [choice] = answer.choices
        assert choice.index == 0
        assert choice.finish_reason in ("stop", "length")
        check_usage(answer.usage, most_completion_tokens=5)

    def test_several_prompts_keep_their_order(self, client, endpoint):
        prompts = ["one two three", "a b c d e f"]
        alone = [
            client.completions.create(
                model=endpoint.model, prompt=prompt, max_tokens=3, temperature=0
            )
            for prompt in prompts
        ]
        both = client.completions.create(
            model=endpoint.model, prompt=prompts, max_tokens=3, temperature=0, n=2
        )
        assert [choice.index for choice in both.choices] == [0, 1, 2, 3]
        texts = [choice.text for choice in both.choices]
        assert texts == [alone[0].choices[0].text] * 2 + [alone[1].choices[0].text] * 2
        assert both.usage.prompt_tokens == sum(answer.usage.prompt_tokens for answer in alone)

    def test_token_ids_are_a_prompt(self, client, endpoint):
        ids = [50, 51, 52, 53]
        one = client.completions.create(model=endpoint.model, prompt=ids, max_tokens=2)
        assert one.usage.prompt_tokens == 4
        two = client.completions.create(model=endpoint.model, prompt=[ids, ids], max_tokens=2)
        assert two.usage.prompt_tokens == 8
        assert len(two.choices) == 2

    def test_echo_begins_with_the_prompt(self, client, endpoint):
        answer = client.completions.create(
            model=endpoint.model, prompt=PROMPT, max_tokens=2, echo=True
        )
        assert answer.choices[0].text.startswith(PROMPT)

    def test_logprobs(self, client, endpoint):
        endpoint.need("logprobs")
        answer = client.completions.create(
            model=endpoint.model, prompt=PROMPT, max_tokens=3, logprobs=2
        )
        columns = answer.choices[0].logprobs
        assert "".join(columns.tokens) == answer.choices[0].text
        assert all(-9999 <= logprob <= 0 for logprob in columns.token_logprobs)
        for token, logprob, top in zip(
            columns.tokens, columns.token_logprobs, columns.top_logprobs, strict=True
        ):
            assert top[token] == pytest.approx(logprob, abs=1e-3)
            assert len(top) <= 3
        assert columns.text_offset[0] == 0

    def test_echo_with_logprobs_scores_the_prompt(self, client, endpoint):
        endpoint.need("logprobs", "prompt_logprobs")
        answer = client.completions.create(
            model=endpoint.model, prompt=PROMPT, max_tokens=1, echo=True, logprobs=1
        )
        columns = answer.choices[0].logprobs
        assert columns.token_logprobs[0] is None
        assert columns.top_logprobs[0] is None
        assert all(logprob <= 0 for logprob in columns.token_logprobs[1:])
        assert len(columns.tokens) == len(columns.text_offset) == len(columns.top_logprobs)
        assert len(columns.tokens) >= answer.usage.prompt_tokens


class TestCompletionStream:
    def test_it_says_what_the_whole_answer_says(self, client, endpoint):
        asked = {"model": endpoint.model, "prompt": PROMPT, "max_tokens": 6, "temperature": 0}
        whole = client.completions.create(**asked, echo=True)
        with client.completions.create(
            **asked, echo=True, stream=True, stream_options={"include_usage": True}
        ) as stream:
            chunks = list(stream)
        choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
        assert "".join(choice.text for choice in choices) == whole.choices[0].text
        reasons = [choice.finish_reason for choice in choices]
        assert reasons == [None] * (len(choices) - 1) + [whole.choices[0].finish_reason]
        assert chunks[-1].usage == whole.usage

    def test_the_wire(self, endpoint):
        answer = endpoint.post(
            "/completions",
            {"model": endpoint.model, "prompt": PROMPT, "max_tokens": 2, "stream": True},
        )
        events = answer.text.split("\n\n")
        assert events[-2:] == ["data: [DONE]", ""]


class TestStop:
    @pytest.fixture
    def said(self, client, endpoint) -> str:
        """What the model says to PROMPT when nothing stops it."""
        answer = client.completions.create(
            model=endpoint.model, prompt=PROMPT, max_tokens=24, temperature=0, extra_body=ON_AND_ON
        )
        text = answer.choices[0].text
        assert len(text) >= 8
        return text

    def test_nothing_of_a_stop_string_is_shown(self, client, endpoint, said):
        stop = said[4:7]
        answer = client.completions.create(
            model=endpoint.model,
            prompt=PROMPT,
            max_tokens=24,
            temperature=0,
            stop=stop,
            extra_body=ON_AND_ON,
        )
        assert answer.choices[0].text == said[: said.index(stop)]
        assert answer.choices[0].finish_reason == "stop"

    def test_nor_in_a_stream(self, client, endpoint, said):
        stop = said[4:7]
        with client.completions.create(
            model=endpoint.model,
            prompt=PROMPT,
            max_tokens=24,
            temperature=0,
            stop=[stop, "\x00never"],
            stream=True,
            extra_body=ON_AND_ON,
        ) as stream:
            choices = [chunk.choices[0] for chunk in stream]
        assert "".join(choice.text for choice in choices) == said[: said.index(stop)]
        assert choices[-1].finish_reason == "stop"

    def test_it_is_shown_when_asked_for(self, client, endpoint, said):
        stop = said[4:7]
        answer = client.completions.create(
            model=endpoint.model,
            prompt=PROMPT,
            max_tokens=24,
            temperature=0,
            stop=stop,
            extra_body={**ON_AND_ON, "include_stop_str_in_output": True},
        )
        assert answer.choices[0].text == said[: said.index(stop)] + stop


class TestSampling:
    def test_a_seed_repeats_itself(self, client, endpoint):
        endpoint.need("sampling")
        texts = {
            client.completions.create(
                model=endpoint.model, prompt=PROMPT, max_tokens=8, temperature=1, seed=7
            )
            .choices[0]
            .text
            for _ in range(2)
        }
        assert len(texts) == 1

    def test_vllm_fields(self, client, endpoint):
        endpoint.need("sampling")
        answer = client.completions.create(
            model=endpoint.model,
            prompt=PROMPT,
            max_tokens=3,
            extra_body={"top_k": -1, "min_p": 0.1, "skip_special_tokens": True},
        )
        assert answer.choices[0].finish_reason in ("stop", "length")

    def test_min_tokens(self, client, endpoint):
        endpoint.need("min_tokens")
        answer = client.completions.create(
            model=endpoint.model, prompt=PROMPT, max_tokens=60, extra_body={"min_tokens": 50}
        )
        assert answer.usage.completion_tokens >= 50


BAD_CHATS = {
    "unknown field": ({"temprature": 1}, "temprature", None),
    "temperature": ({"temperature": 5}, "temperature", None),
    "top_p": ({"top_p": 0}, "top_p", None),
    "n": ({"n": 0}, "n", None),
    "n too large": ({"n": 1000}, "n", None),
    "max_tokens": ({"max_tokens": 0}, "max_tokens", None),
    "type": ({"max_tokens": "many"}, "max_tokens", None),
    "role": ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role", None),
    "content": ({"messages": [{"role": "user"}]}, "messages.0.content", None),
    "no messages": ({"messages": []}, "messages", None),
    "stop": ({"stop": ["a", ""]}, "stop", None),
    "tools": ({"tools": [{"type": "function"}]}, "tools", "unsupported_field"),
    "json": ({"response_format": {"type": "json_object"}}, "response_format", "unsupported_field"),
    "best_of": ({"best_of": 2}, "best_of", "unsupported_field"),
    "top_logprobs alone": ({"top_logprobs": 2}, "top_logprobs", None),
    "stream_options": ({"stream_options": {"include_usage": True}}, "stream_options", None),
    "context": ({"max_tokens": 10**9}, None, "context_length_exceeded"),
}


class TestBadRequests:
    @pytest.mark.parametrize("name", BAD_CHATS)
    def test_the_field_is_named(self, client, endpoint, name):
        wrong, param, code = BAD_CHATS[name]
        asked = {"model": endpoint.model, "messages": MESSAGES, **wrong}
        with pytest.raises(openai.BadRequestError) as caught:
            client.post("/chat/completions", body=asked, cast_to=httpx.Response)
        error = caught.value
        assert error.type == "invalid_request_error"
        assert error.code == code
        if param is not None:
            assert error.param == param
            assert param in error.message

    def test_a_stream_is_refused_with_its_status(self, client, endpoint):
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(
                model=endpoint.model, messages=MESSAGES, max_tokens=10**9, stream=True
            )

    def test_an_unknown_model(self, client):
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="no-such-model", messages=MESSAGES)
        assert caught.value.code == "model_not_found"

    @pytest.mark.parametrize("body", [b"{", b"", b"[]", b'{"model": NaN}', b"\xff", b"[" * 100_000])
    def test_broken_json(self, endpoint, body):
        answer = endpoint.post("/chat/completions", body)
        assert answer.status_code == 400
        assert answer.json()["error"]["type"] == "invalid_request_error"

    @pytest.mark.parametrize("prompt", [[], [[]], [1, "a"], {"a": 1}, [-1], [True], None])
    def test_prompts_that_are_none(self, endpoint, prompt):
        answer = endpoint.post("/completions", {"model": endpoint.model, "prompt": prompt})
        assert answer.status_code == 400
        assert answer.json()["error"]["param"].startswith("prompt")

    def test_unknown_routes(self, endpoint):
        answer = endpoint.post("/no/such/route", {})
        assert answer.status_code == 404
        assert "error" in answer.json()
