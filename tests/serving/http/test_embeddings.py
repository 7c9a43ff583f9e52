"""POST /v1/embeddings through the official client, on a real encoder and on one that misbehaves."""

from __future__ import annotations

import base64
import json
import threading
import time

import httpx
import numpy as np
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.embedder import EmbedderSettings
from serving.engines.onnx_embedder import OnnxEmbedder
from serving.errors import EngineDead
from serving.http import ReplicaFace
from serving.http.auth import ApiKeys
from serving.http.embeddings import as_base64
from tests.contract.embedder_contract import EXPECTED, TEXTS, TINY_ENCODER
from tests.serving.http.fakes import FakeEmbedder, FakeEngine, failing, forever
from tests.serving.http.live import MODEL, Live, live


@pytest.fixture(scope="module")
def encoder():
    with live(OnnxEmbedder(EmbedderSettings(TINY_ENCODER))) as running:
        yield running


@pytest.fixture(scope="module")
def client(encoder):
    with openai.OpenAI(base_url=encoder.base_url, api_key="x", max_retries=0) as made:
        yield made


def post(replica: Live, **fields) -> httpx.Response:
    body = {"model": MODEL, "input": "Hello", **fields}
    return httpx.post(f"{replica.base_url}/embeddings", json=body, timeout=20)


def error_of(answer: httpx.Response) -> dict:
    return answer.json()["error"]


def wait_for(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


def test_an_answer(client):
    answer = client.embeddings.create(model=MODEL, input=list(TEXTS))
    assert (answer.object, answer.model) == ("list", MODEL)
    assert [item.index for item in answer.data] == list(range(len(TEXTS)))
    assert {item.object for item in answer.data} == {"embedding"}
    for item, expected in zip(answer.data, EXPECTED.values(), strict=True):
        assert np.array(item.embedding) @ expected > 0.99
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > len(TEXTS)


def test_one_text_is_one_embedding(client):
    answer = client.embeddings.create(model=MODEL, input="Hello", user="somebody")
    assert len(answer.data) == 1
    assert answer.usage.prompt_tokens == len("hello") + 2


def test_both_encodings_hold_the_same_numbers(client):
    """The client asks for base64 unless told otherwise, and unpacks it."""
    unpacked = client.embeddings.create(model=MODEL, input="Hello").data[0].embedding
    numbers = client.embeddings.create(model=MODEL, input="Hello", encoding_format="float")
    packed = client.embeddings.create(model=MODEL, input="Hello", encoding_format="base64")
    assert np.float32(numbers.data[0].embedding).tolist() == np.float32(unpacked).tolist()
    raw = base64.b64decode(packed.data[0].embedding)
    assert np.frombuffer(raw, "<f4").tolist() == np.float32(unpacked).tolist()


def test_base64_is_of_little_endian_float32():
    assert base64.b64decode(as_base64(np.float32([[1.0, -2.0]]))[0]).hex() == "0000803f000000c0"


def test_token_ids_are_an_input(client):
    ids = [7, 8, 9]
    one = client.embeddings.create(model=MODEL, input=ids)
    two = client.embeddings.create(model=MODEL, input=[ids, ids])
    assert one.usage.prompt_tokens == 3
    assert two.usage.prompt_tokens == 6
    np.testing.assert_allclose(two.data[1].embedding, one.data[0].embedding, atol=1e-5)


def test_a_text_too_long_is_refused_and_cut_where_asked(client):
    text = "the cat sat " * 50
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=MODEL, input=["a", text])
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")
    assert "text 1 has 152 tokens" in str(caught.value)
    for asked, num_tokens in ((-1, 48), (10, 10)):
        answer = client.embeddings.create(
            model=MODEL, input=text, extra_body={"truncate_prompt_tokens": asked}
        )
        assert answer.usage.prompt_tokens == num_tokens


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"dimensions": 32}, "dimensions", "unsupported_field"),
        ({"dimensions": 0}, "dimensions", None),
        ({"encoding_format": "hex"}, "encoding_format", None),
        ({"input": []}, "input", None),
        ({"input": ["a", 1]}, "input.1", None),
        ({"input": [["a"]]}, "input.0", None),
        ({"input": None}, "input", None),
        ({"input": [[10**6]]}, "input", None),
        ({"truncate_prompt_tokens": 0}, "truncate_prompt_tokens", None),
        ({"truncate_prompt_tokens": -2}, "truncate_prompt_tokens", None),
        ({"truncate_prompt_tokens": 49}, "truncate_prompt_tokens", None),
        ({"add_special_tokens": False}, "add_special_tokens", "unsupported_field"),
        ({"messages": [{"role": "user", "content": "a"}]}, "messages", "unsupported_field"),
        ({"dimension": 2}, "dimension", None),
        ({"temperature": 1}, "temperature", None),
        ({"model": None}, "model", None),
    ],
)
def test_bad_requests_name_their_field(encoder, fields, param, code):
    answer = post(encoder, **fields)
    assert answer.status_code == 400
    error = error_of(answer)
    assert (error["param"], error["code"]) == (param, code)
    assert error["message"].startswith(f"{param}: ")


def test_fields_that_ask_for_nothing_are_fine(encoder):
    fields = {"dimensions": 64, "user": None, "add_special_tokens": True, "priority": 0}
    assert post(encoder, **fields, encoding_format=None).status_code == 200


def test_more_texts_than_may_be(encoder):
    answer = post(encoder, input=["a"] * 2049)
    assert (answer.status_code, error_of(answer)["param"]) == (400, "input")
    assert "at most 2048" in error_of(answer)["message"]


def test_another_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model="other", input="Hello")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/generate", "/"])
def test_it_generates_nothing(encoder, path):
    answer = httpx.post(encoder.url + path, json={"model": MODEL, "prompt": "Hello"})
    error = error_of(answer)
    assert (answer.status_code, error["code"], error["param"]) == (404, "unknown_route", "model")
    assert f"'{MODEL}' embeds texts and generates none; use /v1/embeddings" in error["message"]


def test_a_model_that_generates_embeds_nothing():
    with live(FakeEngine()) as replica:
        answer = post(replica)
        error = error_of(answer)
        assert (answer.status_code, error["code"], error["param"]) == (
            404,
            "unknown_route",
            "model",
        )
        assert f"'{MODEL}' generates text and has no embeddings" in error["message"]


def test_what_it_tells_of_itself(encoder, client):
    [model] = client.models.list()
    assert (model.id, model.max_model_len) == (MODEL, 48)
    about = httpx.get(encoder.url).json()
    assert about["routes"][0] == "POST /v1/embeddings"
    assert about["message"] == f"POST /v1/embeddings with '{MODEL}'"
    assert not [route for route in about["routes"] if "completions" in route]
    health = httpx.get(f"{encoder.url}/health").json()
    assert (health["status"], health["running"], health["waiting"]) == ("ready", 0, 0)


def test_its_request_ids_and_metrics():
    with live(FakeEmbedder()) as replica:
        headers = {"x-request-id": "mine"}
        body = {"model": MODEL, "input": ["abc", "de"]}
        answer = httpx.post(f"{replica.base_url}/embeddings", json=body, headers=headers)
        assert answer.headers["x-request-id"] == "mine"
        assert answer.json()["data"][1]["embedding"] == [2, 1]
        post(replica, dimensions=0)
        text = httpx.get(f"{replica.url}/metrics").text
    samples = {
        (
            sample.name,
            *sorted(v for k, v in sample.labels.items() if k != "model_name"),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["vllm:prompt_tokens_total",] == 5
    assert samples["vllm:request_success_total", "stop"] == 2
    assert samples["vllm:e2e_request_latency_seconds_count",] == 1
    assert samples["anynode_request_errors_total", "400"] == 1
    assert samples["vllm:num_requests_running",] == 0


def test_the_key_is_asked_for():
    keys = ApiKeys.from_environment({"ANYNODE_API_KEY": "secret"})
    with live(FakeEmbedder(), keys=keys) as replica:
        assert post(replica).status_code == 401


def test_a_full_replica_says_when_to_come_back():
    with live(FakeEmbedder(forever), max_num_seqs=1, max_queued_requests=1) as replica:
        held = [send(replica) for _ in range(2)]
        wait_for(lambda: replica.engine.open == 2)
        answer = post(replica)
        assert (answer.status_code, error_of(answer)["code"]) == (429, "queue_full")
        assert int(answer.headers["retry-after"]) >= 1
        for connection in held:
            connection.close()
        wait_for(lambda: replica.face.num_running == 0)
        assert replica.engine.cancelled == 2


def send(replica: Live, **fields):
    body = json.dumps({"model": MODEL, "input": "Hello", **fields}).encode()
    connection = replica.connect()
    connection.sendall(
        b"POST /v1/embeddings HTTP/1.1\r\nhost: test\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )
    return connection


def test_too_long_a_time_is_a_504_and_stops_the_work():
    with live(FakeEmbedder(forever), request_timeout_s=0.2) as replica:
        answer = post(replica)
        assert (answer.status_code, error_of(answer)["code"]) == (504, "timeout")
        assert replica.engine.cancelled == 1
        assert replica.face.num_running == 0


def test_a_client_that_leaves_stops_the_work_of_a_real_encoder(encoder):
    connection = send(encoder, input=["the cat sat on the mat, and what is it"] * 2000)
    wait_for(lambda: encoder.engine.occupancy().num_waiting > 1000)
    connection.close()
    wait_for(lambda: encoder.engine.occupancy().num_waiting == 0)
    wait_for(lambda: encoder.face.num_running == 0)


def test_a_small_request_is_not_kept_waiting_by_a_large_one(encoder):
    """Of as many batches as the large one needs, the small one waits for a few."""
    ended: dict[str, float] = {}

    def ask(name: str, texts: list[str]) -> None:
        assert post(encoder, input=texts).status_code == 200
        ended[name] = time.monotonic()

    large = threading.Thread(target=ask, args=("large", ["the cat sat on the mat " * 6] * 2000))
    large.start()
    wait_for(lambda: encoder.engine.occupancy().num_waiting > 1000)
    ask("small", ["Hello"])
    still_waiting = encoder.engine.occupancy().num_waiting
    large.join()
    assert ended["small"] < ended["large"]
    assert still_waiting > 0


def test_a_dead_embedder_stays_dead():
    with live(FakeEmbedder(failing(EngineDead("out of memory")))) as replica:
        assert error_of(post(replica))["code"] == "engine_dead"
        replica.engine.first = None
        assert post(replica).status_code == 503
        assert httpx.get(f"{replica.url}/health").json()["status"] == "dead"


def test_an_exception_is_one_requests_500():
    with live(FakeEmbedder(failing(ZeroDivisionError("secret")))) as replica:
        answer = post(replica)
        assert answer.status_code == 500
        assert "secret" not in answer.text
        replica.engine.first = None
        assert post(replica).status_code == 200


def test_while_it_loads_it_says_so():
    with live(FakeEmbedder(), prepare=lambda face: ReplicaFace.loading(face, "weights")) as replica:
        answer = post(replica)
        assert (answer.status_code, error_of(answer)["code"]) == (503, "loading")
