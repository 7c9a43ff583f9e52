"""serving.gpu.vllm_app and what it is made of, around an app like vLLM's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from serving.errors import ConfigError, EngineDead
from serving.gpu.vllm_app import VLLMFace
from serving.http.auth import ApiKeys
from serving.http.settings import FaceSettings
from tests.serving.gpu.fake_vllm import FakeEngine

MODEL = "llama"


def house(
    test: Callable[[httpx.AsyncClient, FakeEngine, VLLMFace], Awaitable[None]],
    *,
    keys: ApiKeys | None = None,
    max_input_len: int | None = None,
    ready: bool = True,
    **settings: Any,
) -> None:
    async def run() -> None:
        engine = FakeEngine()
        face = VLLMFace(
            FaceSettings(model_id=MODEL, **settings),
            keys=keys or ApiKeys(),
            max_input_len=max_input_len,
        )
        if ready:
            face.ready(engine)
        transport = httpx.ASGITransport(face.asgi_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://replica") as http:
            await test(http, engine, face)

    asyncio.run(run())


@asynccontextmanager
async def others(face: VLLMFace, num_requests: int) -> AsyncIterator[None]:
    """While it lasts, so many others run."""
    async with AsyncExitStack() as running:
        for _ in range(num_requests):
            await running.enter_async_context(face.gate.admit(1))
        yield


def ask(http: httpx.AsyncClient, path: str = "/v1/completions", **body: Any) -> Any:
    return http.post(path, json={"model": MODEL, "prompt": "one two", **body})


def test_vllm_answers_and_every_answer_has_an_id():
    async def test(http, engine, face):
        answer = await ask(http)
        assert answer.json()["choices"][0]["text"] == " three"
        assert answer.headers["x-request-id"]
        assert face.gate.num_running == 0

    house(test)


@pytest.mark.parametrize("path", ["/v1/completions", "/generate"])
def test_while_many_run_vllm_is_told_how_many_tokens_an_event_carries(path):
    async def test(http, engine, face):
        face.pace.hear([0.004])
        await http.post(path, json={"prompt": "one two", "stream": True})
        async with others(face, 20):
            await http.post(path, json={"prompt": "one two", "stream": True})
            await http.post(path, json={"prompt": "one two"})
        assert [asked.stream_interval for asked in engine.asked] == [None, 7, None]

    house(test)


def test_what_a_caller_says_of_it_stays():
    async def test(http, engine, face):
        face.pace.hear([0.004])
        async with others(face, 20):
            await ask(http, stream=True, stream_interval=1)
        assert engine.asked[0].stream_interval == 1

    house(test)


@pytest.mark.parametrize(
    ("body", "param", "code", "words"),
    [
        ({"temprature": 1}, "temprature", None, "did you mean 'temperature'"),
        ({"guided_json": {}}, "guided_json", "unsupported_field", "not supported"),
        ({"n": 1000}, "n", None, "more than 128"),
        ({"max_tokens": 999}, "max_tokens", "context_length_exceeded", "max_model_len=100"),
    ],
)
def test_wrong_requests_are_refused_in_our_shape(body, param, code, words):
    async def test(http, engine, face):
        answer = await ask(http, **body)
        error = answer.json()["error"]
        assert answer.status_code == 400
        assert (error["param"], error["code"]) == (param, code)
        assert error["type"] == "invalid_request_error"
        assert words in error["message"]
        metrics = await http.get("/metrics")
        assert 'anynode_request_errors_total{model_name="llama",status="400"} 1.0' in metrics.text

    house(test)


def test_fields_that_ask_for_nothing_are_handed_on():
    async def test(http, engine, face):
        assert (await ask(http, store=False, user="me")).status_code == 200
        assert len(engine.asked) == 1

    house(test)


def test_other_models_routes_and_keys_stay_out():
    async def test(http, engine, face):
        bearer = {"authorization": "Bearer key"}
        assert (await ask(http)).status_code == 401
        wrong = await http.post("/v1/completions", json={"model": "x"}, headers=bearer)
        assert wrong.json()["error"]["code"] == "model_not_found"
        for path in ("/scale_elastic_ep", "/docs", "/v1/embeddings"):
            assert (await http.post(path, json={}, headers=bearer)).status_code == 404
        got = await http.get("/v1/completions", headers=bearer)
        assert (got.status_code, got.headers["allow"]) == (405, "POST")
        assert got.json()["error"]["code"] == "method_not_allowed"
        assert (await http.get("/health")).json()["status"] == "ready"
        assert engine.asked == []

    house(test, keys=ApiKeys.from_environment({"ANYNODE_API_KEY": "key"}))


def test_a_full_house_says_when_to_come_back():
    async def test(http, engine, face):
        waiting = [asyncio.create_task(ask(http, prompt="slow")) for _ in range(3)]
        while face.gate.num_running < 3:
            await asyncio.sleep(0)
        answer = await ask(http)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        assert [(await each).status_code for each in waiting] == [504] * 3
        assert (await ask(http)).status_code == 200

    house(test, max_num_seqs=2, max_queued_requests=1, request_timeout_s=0.3)


def test_when_time_is_up_the_work_stops_and_the_client_hears_of_it():
    async def test(http, engine, face):
        whole = await ask(http, prompt="slow")
        assert (whole.status_code, whole.json()["error"]["code"]) == (504, "timeout")
        streamed = await ask(http, prompt="slow", stream=True)
        events = streamed.text.strip().split("\n\n")
        assert json.loads(events[0].removeprefix("data: "))["choices"][0]["text"] == " three"
        assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == "timeout"
        assert engine.num_stopped == 2

    house(test, request_timeout_s=0.1)


def test_a_dead_engine_is_told_to_callers_and_to_health():
    async def test(http, engine, face):
        for prompt in ("dead", "one"):
            answer = await ask(http, prompt=prompt)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_dead")
        assert len(engine.asked) == 1  # nothing more is sent there
        assert (await http.get("/health")).status_code == 503

    house(test)


def test_whoever_waits_for_an_engine_that_dies_hears_of_it_at_once():
    """vLLM itself would tell them seconds later; these two it would never tell."""

    async def test(http, engine, face):
        whole = asyncio.create_task(ask(http, prompt="slow"))
        streamed = asyncio.create_task(ask(http, prompt="slow", stream=True))
        while len(engine.asked) < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)  # the stream's first events are on their way
        face.failed(EngineDead("vLLM's engine process has died."))
        async with asyncio.timeout(1):
            assert (await whole).json()["error"]["code"] == "engine_dead"
            events = (await streamed).text.strip().split("\n\n")
        assert json.loads(events[0].removeprefix("data: "))["choices"][0]["text"] == " three"
        assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == "engine_dead"
        assert face.gate.num_running == 0

    house(test)


def test_bodies_are_bounded_and_must_be_objects():
    async def test(http, engine, face):
        assert (await ask(http, prompt="x" * 200)).status_code == 413
        assert (await http.post("/v1/completions", content=b"[]")).status_code == 400
        assert (await http.post("/v1/completions", content=b"{")).status_code == 400

    house(test, max_body_bytes=100)


def test_the_older_shapes():
    async def test(http, engine, face):
        plain = await http.post("/generate", json={"prompt": "one two"})
        assert plain.json() == {"text": "one two three"}
        asked = engine.asked[-1]
        assert (asked.max_tokens, asked.temperature, asked.top_p) == (100, 0.7, 0.5)
        several = await http.post("/", json={"prompt": "one two", "n": 2})
        assert several.json() == {"text": ["one two three"] * 2}
        streamed = await http.post("/generate", json={"prompt": "one two", "stream": True})
        assert streamed.text == '{"text": " three"}\n{"text": " four"}\n'
        assert streamed.headers["content-type"] == "application/x-ndjson"
        wrong = await http.post("/generate", json={"prompt": "one", "tempratur": 1})
        assert wrong.json()["error"]["param"] == "tempratur"
        too_long = await http.post("/generate", json={"prompt": "one", "max_tokens": 999})
        assert too_long.json()["error"]["code"] == "context_length_exceeded"

    house(test)


def test_the_older_shapes_are_missing_where_no_text_is_generated():
    async def test(http, engine, face):
        routes = engine.app.router.routes
        routes[:] = [route for route in routes if route.path != "/v1/completions"]
        face.ready(engine)
        for path in ("/", "/generate", "/v1/completions"):
            answer = await ask(http, path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_route")

    house(test, ready=False)


@pytest.mark.parametrize(
    ("prompt", "status"),
    [
        ("one two three", 200),
        ("one two three four", 400),
        (["one", "one two three four"], 400),
        ([1, 2, 3], 200),
        ([1, 2, 3, 4], 400),
        ([[1], [1, 2, 3, 4]], 400),
    ],
)
def test_prompts_are_limited_where_the_operator_limits_them(prompt, status):
    async def test(http, engine, face):
        answer = await ask(http, prompt=prompt)
        assert answer.status_code == status
        assert len(engine.asked) == (status == 200)
        if status == 400:
            assert answer.json()["error"]["code"] == "context_length_exceeded"

    house(test, max_input_len=3)


def test_the_operators_defaults_stand_where_a_request_is_silent():
    async def test(http, engine, face):
        await ask(http)
        assert (engine.asked[-1].max_tokens, engine.asked[-1].temperature) == (7, 0.5)
        await ask(http, max_tokens=3, temperature=0)
        assert (engine.asked[-1].max_tokens, engine.asked[-1].temperature) == (3, 0)

    house(test, default_max_tokens=7, default_temperature=0.5)


def test_a_default_is_cut_to_what_the_model_takes():
    async def test(http, engine, face):
        await ask(http)
        assert engine.asked[-1].max_tokens == engine.max_model_len

    house(test, default_max_tokens=1000)


def test_while_it_loads_it_says_what_it_is_doing():
    async def test(http, engine, face):
        face.loading("reading weights, file 2 of 7")
        health = await http.get("/health")
        assert health.status_code == 503
        about = health.json()
        assert (about["status"], about["doing"]) == ("loading", "reading weights, file 2 of 7")
        for path in ("/v1/completions", "/generate", "/v1/embeddings"):
            answer = await ask(http, path)
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            assert answer.json()["error"]["code"] == "loading"
            assert "reading weights, file 2 of 7" in answer.json()["error"]["message"]
        assert "POST /tokenize" not in (await http.get("/")).json()["routes"]
        assert (await http.get("/v1/models")).json()["data"][0]["max_model_len"] is None

        face.ready(engine)
        assert (await http.get("/health")).json()["status"] == "ready"
        assert (await ask(http)).status_code == 200
        assert "POST /tokenize" in (await http.get("/")).json()["routes"]
        assert (await http.get("/v1/models")).json()["data"][0]["max_model_len"] == 100

    house(test, ready=False)


def test_a_start_that_failed_is_told_to_whoever_asks():
    async def test(http, engine, face):
        face.failed(ConfigError("vLLM could not start: no such model"))
        assert "no such model" in (await http.get("/health")).json()["error"]
        answer = await ask(http)
        assert answer.json()["error"]["code"] == "engine_dead"

    house(test, ready=False)
