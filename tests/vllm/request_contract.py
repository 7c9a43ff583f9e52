"""What vLLM brings (structured output), and what our house puts around it, wherever it runs.

A test module that imports all of this needs a fixture `served`: a `Served` that was told the sizes
which `tests/vllm/served.py` names.
"""

from __future__ import annotations

import json
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.vllm.served import MAX_INPUT_LEN, MAX_MODEL_LEN, MODEL, Served

RUNNING = "vllm:num_requests_running"
MADE = "vllm:generation_tokens_total"
LONG_TOKENS = 900
LONG = {"max_tokens": LONG_TOKENS, "ignore_eos": True}


def wait_until_idle(served: Served) -> None:
    """vLLM brings its gauges up to date when it steps, so it is given a short request to do."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        served.ask(max_tokens=1)
        if served.gauge(RUNNING) == 0:
            return
        time.sleep(0.1)
    raise AssertionError(f"{served.gauge(RUNNING)} requests still run")


def wait_until_it_runs(served: Served) -> None:
    deadline = time.monotonic() + 20
    while served.gauge(RUNNING) < 1:
        assert time.monotonic() < deadline, "nothing runs"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("constraint", "shape"),
    [
        ({"structured_outputs": {"regex": "[a-f]{3}-[0-9]{2}"}}, "[a-f]{3}-[0-9]{2}"),
        ({"structured_outputs": {"choice": ["red", "green"]}}, "red|green"),
    ],
)
def test_structured_outputs_bind_the_answer(served: Served, constraint, shape) -> None:
    text = served.ask(max_tokens=20, **constraint).json()["choices"][0]["text"]
    assert re.fullmatch(shape, text)


def test_a_json_schema_binds_the_answer(served: Served) -> None:
    schema = {
        "type": "object",
        "properties": {"size": {"enum": ["small", "large"]}},
        "required": ["size"],
        "additionalProperties": False,
    }
    answer = served.post(
        "/v1/chat/completions",
        model=MODEL,
        messages=[{"role": "user", "content": "What size?"}],
        max_tokens=60,
        temperature=0,
        response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema}},
    )
    assert json.loads(answer.json()["choices"][0]["message"]["content"])["size"] in (
        "small",
        "large",
    )


@pytest.mark.parametrize("field", ["guided_json", "guided_regex", "temprature", "best_of"])
def test_fields_that_vllm_would_ignore_are_refused(served: Served, field: str) -> None:
    answer = served.ask(**{field: "x"})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field


def test_neutral_fields_of_openai_are_fine(served: Served) -> None:
    answer = served.post(
        "/v1/chat/completions",
        model=MODEL,
        messages=[{"role": "user", "content": "Hello"}],
        max_tokens=1,
        store=False,
        metadata={},
        safety_identifier="someone",
    )
    assert answer.status_code == 200


def test_a_client_that_leaves_a_stream_stops_its_work(served: Served) -> None:
    made = served.gauge(MADE)
    asked = {"model": MODEL, "prompt": "one two", "stream": True, **LONG}
    with httpx.stream("POST", f"{served.url}/v1/completions", json=asked, timeout=60) as answer:
        lines = answer.iter_lines()  # kept: with it the connection would go
        next(lines)
        wait_until_it_runs(served)
    wait_until_idle(served)
    assert served.gauge(MADE) - made < LONG_TOKENS


def test_a_client_that_leaves_before_the_answer_stops_its_work(served: Served) -> None:
    made = served.gauge(MADE)
    body = json.dumps({"model": MODEL, "prompt": "one two", **LONG}).encode()
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(
            b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        wait_until_it_runs(served)
    wait_until_idle(served)
    assert served.gauge(MADE) - made < LONG_TOKENS


def test_more_than_the_line_holds_is_told_when_to_come_back(served: Served) -> None:
    asked = {"model": MODEL, "prompt": "one two", "max_tokens": 300, "ignore_eos": True}
    # One client: making forty would take longer than a GPU needs for the first answers.
    with httpx.Client(base_url=served.url, timeout=120) as client, ThreadPoolExecutor(40) as pool:
        sent = [pool.submit(client.post, "/v1/completions", json=asked) for _ in range(40)]
        answers = [each.result() for each in sent]
    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 429}
    refused = [answer for answer in answers if answer.status_code == 429]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert refused[0].json()["error"]["code"] == "queue_full"
    wait_until_idle(served)


def test_generate_answers_in_the_older_shape(served: Served) -> None:
    plain = served.post("/generate", prompt="one two", max_tokens=3, temperature=0)
    assert plain.json()["text"].startswith("one two")
    several = served.post("/", prompt="one two", max_tokens=3, n=2, temperature=1)
    assert len(several.json()["text"]) == 2
    asked = {"prompt": "one two", "max_tokens": 3, "temperature": 0, "stream": True}
    streamed = served.post("/generate", **asked)
    lines = [json.loads(line)["text"] for line in streamed.text.splitlines()]
    assert "one two" + "".join(lines) == plain.json()["text"]
    assert streamed.headers["content-type"] == "application/x-ndjson"


def test_the_older_shapes_refuse_by_name(served: Served) -> None:
    answer = served.post("/generate", prompt="one", max_tokenz=3)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "max_tokenz"
    too_long = served.post("/generate", prompt="one", max_tokens=MAX_MODEL_LEN + 1)
    assert too_long.json()["error"]["code"] == "context_length_exceeded"


def test_health_version_and_metrics_are_ours(served: Served) -> None:
    health = httpx.get(f"{served.url}/health")
    assert health.json()["engine"] == "vllm"
    assert health.headers["x-request-id"]
    assert httpx.get(f"{served.url}/version").json()["engine"] == "vllm"
    exposition = httpx.get(f"{served.url}/metrics").text
    assert "vllm:time_to_first_token_seconds" in exposition
    assert "anynode_request_errors_total" in exposition


@pytest.mark.parametrize("path", ["/scale_elastic_ep", "/invocations", "/v1/completions/render"])
def test_routes_for_administrators_are_closed(served: Served, path: str) -> None:
    answer = served.post(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "unknown_route"


def test_tokenize_and_messages_are_vllms(served: Served) -> None:
    assert served.post("/tokenize", model=MODEL, prompt="one two").json()["count"] > 0
    asked = {"model": MODEL, "max_tokens": 4, "messages": [{"role": "user", "content": "Hello"}]}
    assert served.post("/v1/messages", **asked).json()["type"] == "message"


def test_a_route_that_cannot_count_its_prompt_is_closed_where_prompts_are_limited(
    served: Served,
) -> None:
    answer = served.post("/v1/responses", model=MODEL, input="Hello", max_output_tokens=4)
    assert answer.status_code == 400
    assert "max_input_len" in answer.json()["error"]["message"]


def test_prompts_that_are_too_long_are_refused_before_they_run(served: Served) -> None:
    words = "one " * 300  # more than max_input_len, less than max_model_len
    chat = {"model": MODEL, "messages": [{"role": "user", "content": words}], "max_tokens": 1}
    for answer in (
        served.ask(words, max_tokens=1),
        served.ask([5] * (MAX_INPUT_LEN + 1), max_tokens=1),
        served.ask(["one", words], max_tokens=1, stream=True),
        served.post("/v1/chat/completions", **chat),
        served.post("/v1/messages", **chat),
        served.post("/generate", prompt=words, max_tokens=1),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "context_length_exceeded"
    assert served.ask([5] * MAX_INPUT_LEN, max_tokens=1).status_code == 200
