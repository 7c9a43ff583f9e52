"""Fields that need something of the engine are refused, by name, where it cannot."""

from __future__ import annotations

import httpx
import pytest

from tests.serving.http.fakes import FakeEngine
from tests.serving.http.live import MODEL, live

PROMPT = {"model": MODEL, "prompt": "p"}


@pytest.fixture(scope="module")
def plain():
    """A replica whose engine can do nothing but generate."""
    with live(FakeEngine(capabilities=frozenset())) as running:
        yield running


@pytest.mark.parametrize(
    ("field", "value", "neutral"),
    [
        ("temperature", 1, 0),
        ("top_p", 0.5, 1),
        ("top_k", 5, -1),
        ("min_p", 0.1, 0),
        ("seed", 1, None),
        ("presence_penalty", 1, 0),
        ("frequency_penalty", 1, 0.0),
        ("repetition_penalty", 2, 1),
        ("logit_bias", {"1": 5}, {}),
        ("stop_token_ids", [1], []),
        ("min_tokens", 1, 0),
        ("ignore_eos", True, False),
        ("logprobs", 0, None),
    ],
)
def test_each_field(plain, field, value, neutral):
    url = f"{plain.base_url}/completions"
    refused = httpx.post(url, json={**PROMPT, field: value})
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert (error["param"], error["code"]) == (field, "unsupported_field")
    assert "echo" in error["message"]
    assert httpx.post(url, json={**PROMPT, field: neutral}).status_code == 200


def test_no_chat_without_a_template(plain):
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "x"}]}
    answer = httpx.post(f"{plain.base_url}/chat/completions", json=chat)
    assert answer.json()["error"]["param"] == "messages"


def test_prompt_logprobs():
    engine = FakeEngine(capabilities=frozenset({"logprobs"}))
    with live(engine) as running:
        url = f"{running.base_url}/completions"
        answer = httpx.post(url, json={**PROMPT, "echo": True, "logprobs": 1})
        assert answer.json()["error"]["param"] == "echo"
        assert httpx.post(url, json={**PROMPT, "echo": True}).status_code == 200
