"""The HTTP contract as vLLM keeps it, on whatever it runs: see tests/contract/http_contract.py.

Where vLLM keeps OpenAI's protocol in another way than our own engines, its way stands here: it
joins text parts by line ends, says its last words together with the finish reason, allows one
greedy choice only, takes any role, any message and booleans for token ids, and honours tools and
response formats.
"""

from __future__ import annotations

import httpx
import openai
import pytest

from tests.contract import http_contract as contract
from tests.contract.http_contract import (
    MESSAGES,
    TestCompletionStream,
    TestModels,
    TestSampling,
    TestStop,
    client,
)

__all__ = [
    "TestBadRequests",
    "TestChat",
    "TestChatStream",
    "TestCompletionStream",
    "TestCompletions",
    "TestModels",
    "TestSampling",
    "TestStop",
    "client",
]

VLLM_TAKES = ("role", "content", "tools", "json", "no messages")
BAD_CHATS = sorted(contract.BAD_CHATS.keys() - set(VLLM_TAKES))


class TestChat(contract.TestChat):
    def test_content_as_parts_is_the_same_prompt(self, client, endpoint):
        parts = [{"type": "text", "text": "Count from one"}, {"type": "text", "text": "to ten."}]
        whole = [{"role": "user", "content": "Count from one\nto ten."}]
        split = [{"role": "user", "content": parts}]
        counts = [
            client.chat.completions.create(model=endpoint.model, messages=messages, max_tokens=1)
            for messages in (whole, split)
        ]
        assert counts[0].usage.prompt_tokens == counts[1].usage.prompt_tokens


class TestChatStream(contract.TestChatStream):
    def test_the_order_of_events(self, client, endpoint):
        with client.chat.completions.create(
            model=endpoint.model, messages=MESSAGES, max_tokens=6, stream=True
        ) as stream:
            chunks = list(stream)
        assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
        first, *between, last = [chunk.choices[0] for chunk in chunks]
        assert (first.delta.role, first.delta.content) == ("assistant", "")
        assert all(choice.finish_reason is None for choice in (first, *between))
        assert last.finish_reason in ("stop", "length")


class TestCompletions(contract.TestCompletions):
    def test_several_prompts_keep_their_order(self, client, endpoint):
        asked = {"model": endpoint.model, "max_tokens": 3, "temperature": 0}
        prompts = ["one two three", "a b c d e f"]
        alone = [client.completions.create(prompt=prompt, **asked) for prompt in prompts]
        both = client.completions.create(prompt=prompts, **asked)
        assert [choice.index for choice in both.choices] == [0, 1]
        assert [choice.text for choice in both.choices] == [
            answer.choices[0].text for answer in alone
        ]


class TestBadRequests(contract.TestBadRequests):
    @pytest.mark.parametrize("name", BAD_CHATS)
    def test_the_field_is_named(self, client, endpoint, name):
        super().test_the_field_is_named(client, endpoint, name)

    @pytest.mark.parametrize("prompt", [[], [[]], [1, "a"], {"a": 1}, [-1], None])
    def test_prompts_that_are_none(self, endpoint, prompt):
        super().test_prompts_that_are_none(endpoint, prompt)

    @pytest.mark.parametrize("wrong", [{"messages": []}, {"tools": [{"type": "function"}]}])
    def test_what_vllm_refuses_has_our_shape(self, client, endpoint, wrong):
        asked = {"model": endpoint.model, "messages": MESSAGES, **wrong}
        with pytest.raises(openai.BadRequestError) as caught:
            client.post("/chat/completions", body=asked, cast_to=httpx.Response)
        assert caught.value.type == "invalid_request_error"
