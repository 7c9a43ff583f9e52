"""Requests that cannot be answered: each gets one error of one shape, and disturbs nobody."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.vllm.served import MAX_MODEL_LEN, MODEL, Served

COMPLETIONS = "/v1/completions"
CHAT = "/v1/chat/completions"
TOO_LONG = "one " * 2 * MAX_MODEL_LEN
LARGEST_BODY = 4 * 2**20


def completion(**body: Any) -> bytes:
    return json.dumps({"model": MODEL, "prompt": "one", "max_tokens": 2, **body}).encode()


def chat(**body: Any) -> bytes:
    return json.dumps({"model": MODEL, "max_tokens": 2, **body}).encode()


BAD = {
    "long prompt": (COMPLETIONS, completion(prompt=TOO_LONG), 400, "prompt"),
    "long ids": (COMPLETIONS, completion(prompt=[5] * 2 * MAX_MODEL_LEN), 400, "prompt"),
    "long chat": (CHAT, chat(messages=[{"role": "user", "content": TOO_LONG}]), 400, "messages"),
    "long answer": (COMPLETIONS, completion(max_tokens=10**6), 400, "max_tokens"),
    "no messages": (CHAT, chat(), 400, "messages"),
    "cut JSON": (COMPLETIONS, completion()[:-1], 400, None),
    "no object": (COMPLETIONS, b"[1]", 400, None),
    "not UTF-8": (COMPLETIONS, b'{"prompt": "\xff"}', 400, None),
    "huge body": (COMPLETIONS, completion(prompt="a" * LARGEST_BODY), 413, None),
    "unknown model": (COMPLETIONS, completion(model="nobody"), 404, "model"),
    "unknown field": (COMPLETIONS, completion(temprature=1), 400, "temprature"),
    "empty prompt": (COMPLETIONS, completion(prompt=""), 400, "prompt"),
    "no such token": (COMPLETIONS, completion(prompt=[10**6]), 400, None),
    "biased away": (COMPLETIONS, completion(logit_bias={"99999": 1}), 400, "logit_bias"),
    "broken regex": (COMPLETIONS, completion(structured_outputs={"regex": "("}), 400, None),
    "two constraints": (
        COMPLETIONS,
        completion(structured_outputs={"regex": "a", "choice": ["b"]}),
        400,
        "structured_outputs",
    ),
    "many choices": (COMPLETIONS, completion(n=1000), 400, "n"),
    "greedy choices": (COMPLETIONS, completion(n=2, temperature=0), 400, "n"),
}


def send(served: Served, path: str, body: bytes) -> httpx.Response:
    headers = {"content-type": "application/json"}
    return httpx.post(served.url + path, content=body, headers=headers, timeout=60)


@pytest.mark.parametrize("name", BAD)
def test_each_gets_one_error(rich: Served, name: str) -> None:
    path, body, status, param = BAD[name]
    answer = send(rich, path, body)
    assert answer.status_code == status
    assert answer.json().keys() == {"error"}
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert error["message"]
    assert "\n" not in error["message"]
    assert "Traceback" not in error["message"]


def test_other_methods_are_refused(rich: Served) -> None:
    answer = httpx.get(rich.url + COMPLETIONS)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_stream_goes_on_through_a_burst_of_them(rich: Served) -> None:
    asked = {"model": MODEL, "prompt": "one two", "max_tokens": 400, "ignore_eos": True}
    asked |= {"temperature": 0, "stream": True}

    def text_of(lines: list[str]) -> str:
        events = [line.removeprefix("data: ") for line in lines if line.startswith("data: {")]
        return "".join(json.loads(event)["choices"][0]["text"] for event in events)

    alone = text_of(rich.post(COMPLETIONS, **asked).text.splitlines())
    with (
        httpx.stream("POST", rich.url + COMPLETIONS, json=asked, timeout=60) as answer,
        ThreadPoolExecutor(8) as pool,
    ):
        lines = answer.iter_lines()
        begun = [next(lines)]
        burst = [pool.submit(send, rich, path, body) for path, body, *_ in BAD.values()]
        statuses = [each.result().status_code for each in burst]
        rest = list(lines)
    assert statuses == [status for _, _, status, _ in BAD.values()]
    assert text_of([*begun, *rest]) == alone
    assert "data: [DONE]" in rest
