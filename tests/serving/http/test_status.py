"""The routes that tell about the replica, its metrics, and request ids."""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import fields

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.routing import Mount

from serving.errors import ConfigError
from serving.http import FaceSettings, ReplicaFace
from serving.http.auth import ApiKeys
from serving.resources import CpuUse, one_replica
from serving.types import Occupancy
from tests.serving.http.fakes import FakeEngine
from tests.serving.http.live import MODEL, live

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def replica():
    with live(other_names=("alias", "org/model")) as running:
        yield running


def metrics(replica) -> dict[str, float]:
    """Samples by name and label, without model_name."""
    text = httpx.get(f"{replica.url}/metrics").text
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    assert {sample.labels["model_name"] for sample in samples} == {MODEL}
    return {
        " ".join([s.name, *(v for k, v in s.labels.items() if k != "model_name")]): s.value
        for s in samples
    }


def test_root_tells_the_way(replica):
    about = httpx.get(replica.url).json()
    assert about["model"] == MODEL
    assert "POST /v1/chat/completions" in about["routes"]


def test_every_route_that_is_named_exists(replica):
    for route in httpx.get(replica.url).json()["routes"]:
        method, path = route.split()
        assert httpx.request(method, replica.url + path).status_code in (200, 400), route


def test_health(replica):
    health = httpx.get(f"{replica.url}/health").json()
    assert health["status"] == "ready"
    assert (health["model"], health["engine"]) == (MODEL, "echo")
    assert (health["running"], health["waiting"]) == (0, 0)


def test_health_asks_the_engine():
    with live(FakeEngine()) as running:
        assert httpx.get(f"{running.url}/health").status_code == 200
        running.engine.dead = True
        answer = httpx.get(f"{running.url}/health")
        assert (answer.status_code, answer.json()["error"]) == (503, "it broke")


def test_version(replica):
    answer = httpx.get(f"{replica.url}/version").json()
    assert answer["version"]
    assert answer["engine"] == "echo"
    assert "starlette" in answer["libraries"]
    assert "resources" not in answer  # nobody said


def test_version_tells_what_all_replicas_run_on():
    face = ReplicaFace(
        FaceSettings(model_id="m"),
        FakeEngine(),
        "fake",
        keys=ApiKeys(),
        resources=one_replica(num_cpus=4, num_gpus=1),
    )
    face.ready()

    async def version() -> dict[str, object]:
        transport = httpx.ASGITransport(face.asgi_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return (await client.get("/version")).json()

    assert asyncio.run(version())["resources"] == {"num_replicas": 1, "num_cpus": 4, "num_gpus": 1}


def test_health_tells_of_the_cpu_where_somebody_knows_it(replica):
    assert "cpu" not in httpx.get(f"{replica.url}/health").json()
    cpu = CpuUse(vendor="AMD", model="EPYC", num_threads=4, cores="0-3", warnings=("slow",))
    face = ReplicaFace(FaceSettings(model_id="m"), FakeEngine(), "fake", keys=ApiKeys(), cpu=cpu)

    async def health() -> dict[str, object]:
        transport = httpx.ASGITransport(face.asgi_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return (await client.get("/health")).json()

    told = asyncio.run(health())["cpu"]
    assert told["cores"] == "0-3"
    assert told["warnings"] == ["slow"]
    assert set(told) == {field.name for field in fields(CpuUse)}


def test_the_app_can_live_under_a_prefix():
    face = ReplicaFace(
        FaceSettings(model_id="m"), FakeEngine(), "fake", keys=ApiKeys(frozenset({b"x"}))
    )
    face.ready()
    app = Starlette(routes=[Mount("/models/m", face.asgi_app())])

    async def statuses() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            paths = ("/models/m/health", "/models/m/v1/models", "/models/m/none")
            return [(await client.get(path)).status_code for path in paths]

    assert asyncio.run(statuses()) == [200, 401, 401]


def test_a_model_answers_to_all_its_names(replica):
    listed = httpx.get(f"{replica.base_url}/models").json()["data"]
    assert [model["id"] for model in listed] == [MODEL, "alias", "org/model"]
    assert listed[0]["max_model_len"] == 8192
    assert httpx.get(f"{replica.base_url}/models/org/model").status_code == 200
    answer = httpx.post(f"{replica.base_url}/chat/completions", json={**CHAT, "model": "alias"})
    assert answer.json()["model"] == MODEL


def test_drafts_are_counted_once():
    engine = FakeEngine()
    with live(engine) as running:
        for num_draft, num_accepted in ((7, 5), (7, 5), (21, 12)):
            drafts = {"num_draft_tokens": num_draft, "num_accepted_tokens": num_accepted}
            engine.occupancy = lambda drafts=drafts: Occupancy(**drafts)
            seen = metrics(running)
            assert seen["vllm:spec_decode_num_draft_tokens_total"] == num_draft
            assert seen["vllm:spec_decode_num_accepted_tokens_total"] == num_accepted


def test_requests_are_counted(replica):
    url = f"{replica.base_url}/chat/completions"
    assert httpx.post(url, json={**CHAT, "n": 2}).status_code == 200
    assert httpx.post(url, json={**CHAT, "max_tokens": 2, "stream": True}).status_code == 200
    assert httpx.post(url, json={**CHAT, "n": 0}).status_code == 400
    seen = metrics(replica)
    assert seen["vllm:prompt_tokens_total"] == 10
    assert seen["vllm:generation_tokens_total"] == 12
    assert seen["vllm:request_success_total stop"] == 2
    assert seen["vllm:request_success_total length"] == 1
    assert seen["anynode_request_errors_total 400"] == 1
    assert seen["vllm:num_requests_running"] == seen["vllm:num_requests_waiting"] == 0
    for name in (
        "vllm:request_queue_time_seconds",
        "vllm:time_to_first_token_seconds",
        "vllm:request_time_per_output_token_seconds",
        "vllm:e2e_request_latency_seconds",
    ):
        assert seen[f"{name}_count"] == 2


def test_what_runs_now_is_shown():
    inside, go_on = threading.Event(), threading.Event()

    async def hold(request) -> None:
        inside.set()
        await asyncio.to_thread(go_on.wait)

    with live(FakeEngine(then=hold)) as running:
        url = f"{running.base_url}/chat/completions"
        caller = threading.Thread(target=lambda: httpx.post(url, json=CHAT))
        caller.start()
        inside.wait(5)
        seen = metrics(running)
        go_on.set()
        caller.join()
    assert seen["vllm:num_requests_running"] == 1
    assert seen["vllm:kv_cache_usage_perc"] == 0.25


def test_the_callers_request_id_comes_back(replica):
    answer = httpx.get(f"{replica.url}/health", headers={"x-request-id": "abc-1.2"})
    assert answer.headers["x-request-id"] == "abc-1.2"


@pytest.mark.parametrize("bad", ["", "x" * 129, "a b", "a\tb"])
def test_other_ids_are_replaced(replica, bad):
    answer = httpx.get(f"{replica.url}/health", headers={"x-request-id": bad})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


@pytest.mark.parametrize(
    "wrong",
    [{"model_id": ""}, {"max_num_seqs": 0}, {"max_queued_requests": -1}, {"request_timeout_s": 0}],
)
def test_settings_that_cannot_work(wrong):
    with pytest.raises(ConfigError) as caught:
        FaceSettings(**{"model_id": "m", **wrong})
    assert caught.value.param == next(iter(wrong))
