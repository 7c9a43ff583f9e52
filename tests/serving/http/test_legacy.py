from __future__ import annotations

import json

import httpx
import pytest

from serving.types import SamplingParams
from tests.serving.http.fakes import FakeEngine
from tests.serving.http.live import live


@pytest.fixture(scope="module")
def replica():
    with live() as running:
        yield running


def post(replica, path, **body) -> httpx.Response:
    return httpx.post(replica.url + path, json=body)


def test_generate_answers_one_text(replica):
    answer = post(replica, "/generate", prompt="hello", temperature=0.7, top_k=40, top_p=0.5)
    assert answer.json() == {"text": "hellohello"}
    assert answer.headers["content-type"] == "application/json"


def test_root_answers_a_list(replica):
    assert post(replica, "/", prompt="hello").json() == {"text": ["hellohello"]}
    assert post(replica, "/", prompt="hi", n=2).json() == {"text": ["hihi", "hihi"]}


@pytest.mark.parametrize("path", ["/", "/generate"])
def test_streams_are_lines_of_json(replica, path):
    answer = post(replica, path, prompt="hé", stream=True)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["text"] for line in answer.text.splitlines()] == ["h", "é"]


def test_what_was_ignored_is_honoured(replica):
    answer = post(replica, "/generate", prompt="hello", stop="l", skip_special_tokens=True, n=1)
    assert answer.json() == {"text": "hellohe"}
    answer = post(replica, "/", prompt="hello", max_tokens=2, top_a=0, use_beam_search=False)
    assert answer.json() == {"text": ["hellohe"]}


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/generate", {"n": 2}, "n"),
        ("/", {"n": 2, "stream": True}, "n"),
        ("/", {"top_a": 0.5}, "top_a"),
        ("/", {"best_of": 2}, "best_of"),
        ("/generate", {"model": "other"}, "model"),
        ("/generate", {"max_token": 2}, "max_token"),
        ("/generate", {"prompt": ["a"]}, "prompt"),
        ("/generate", {"logprobs": 1}, "logprobs"),
    ],
)
def test_what_cannot_be_is_refused_by_name(replica, path, body, param):
    answer = post(replica, path, **{"prompt": "x", **body})
    assert answer.status_code == (404 if param == "model" else 400)
    assert answer.json()["error"]["param"] == param


def sampling_of(path: str, *, settings: dict, **body) -> SamplingParams:
    engine = FakeEngine(capabilities=body.pop("capabilities", FakeEngine().capabilities))
    with live(engine, **settings) as running:
        answer = post(running, path, prompt="x", **body)
        assert answer.status_code == 200, answer.text
    return engine.seen[0].sampling


def test_each_route_has_its_defaults():
    generate = sampling_of("/generate", settings={})
    assert (generate.default_max_tokens, generate.temperature) == (128, 0.7)
    assert (generate.top_k, generate.top_p) == (40, 0.5)
    root = sampling_of("/", settings={})
    assert (root.default_max_tokens, root.temperature) == (256, 1.0)
    assert (root.top_k, root.top_p) == (0, 1.0)


def test_the_deployments_defaults_go_first_and_the_callers_before_all():
    deployed = {"default_max_tokens": 7, "default_temperature": 0.1}
    sampling = sampling_of("/generate", settings=deployed)
    assert (sampling.max_tokens, sampling.default_max_tokens) == (None, 7)
    assert sampling.temperature == 0.1
    asked = sampling_of("/generate", settings=deployed, max_tokens=3, temperature=0, top_k=-1)
    assert (asked.max_tokens, asked.temperature, asked.top_k) == (3, 0, 0)


def test_both_names_of_the_penalty():
    for name in ("token_repetition_penalty", "repetition_penalty"):
        assert sampling_of("/", settings={}, **{name: 1.2}).repetition_penalty == 1.2


def test_an_engine_that_cannot_sample_gets_no_sampling_defaults():
    sampling = sampling_of("/generate", settings={}, capabilities=frozenset())
    assert (sampling.top_k, sampling.top_p) == (0, 1.0)


def test_errors_in_a_stream_are_a_line():
    async def fail(request) -> None:
        raise RuntimeError

    with live(FakeEngine(then=fail)) as running:
        lines = post(running, "/", prompt="x", stream=True).text.splitlines()
    assert json.loads(lines[0]) == {"text": "a"}
    assert "error" in json.loads(lines[1])
