"""serving.cpu.deployment: one engine and its HTTP face, without Ray."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import uuid
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving import serve_resources
from serving.cpu.deployment import (
    CPUDeployment,
    CPUSettings,
    embedder_settings,
    engine_of,
    engine_settings,
    with_actual_engine,
)
from serving.cpu.engine_cores import take_cores
from serving.cpu.processor import Processor
from serving.cpu.topology import parse_cpus
from serving.engines.echo import EchoEngine
from serving.errors import ConfigError, EngineDead
from serving.http import FaceSettings
from serving.serve_app import PROXY_COALESCE_MS, ServeApp, with_proxy
from tests.contract.embedder_contract import TINY_ENCODER


def settings(**changes: Any) -> CPUSettings:
    given = {"model_name": "m", "engine": "echo", "face": FaceSettings(model_id="m")}
    return CPUSettings(**(given | changes))


@pytest.fixture(autouse=True)
def reservations_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever else runs on the machine."""
    own = partial(take_cores, name=f"anynode-test-{uuid.uuid4()}")
    monkeypatch.setattr("serving.cpu.deployment.take_cores", own)


async def deployed(settings: CPUSettings) -> CPUDeployment:
    """As Serve makes one."""
    deployment = CPUDeployment.__new__(CPUDeployment)
    await CPUDeployment.__init__(deployment, settings)  # type: ignore[func-returns-value]
    return deployment


def run(test: Callable[[CPUDeployment], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        deployment = await deployed(settings())
        await test(deployment)

    asyncio.run(whole())


def client(deployment: CPUDeployment) -> httpx.AsyncClient:
    app = deployment.__serve_build_asgi_app__()
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://replica")


def test_it_answers_once_it_is_made() -> None:
    async def test(deployment: CPUDeployment) -> None:
        async with client(deployment) as http:
            assert (await http.get("/health")).json()["status"] == "ready"
            answer = await http.post("/v1/completions", json={"model": "m", "prompt": "ab"})
        assert answer.json()["choices"][0]["text"] == "ab"

    run(test)


def test_a_sentence_encoder_embeds() -> None:
    async def test() -> None:
        deployment = await deployed(settings(model_name=str(TINY_ENCODER), engine="onnx"))
        async with client(deployment) as http:
            assert (await http.get("/health")).json()["engine"] == "onnx_embeddings"
            answer = await http.post("/v1/embeddings", json={"model": "m", "input": "Hello"})
        assert len(answer.json()["data"][0]["embedding"]) == 64
        await deployment._engine.unload()
        with pytest.raises(EngineDead):
            await deployment.check_health()

    asyncio.run(test())


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("kv_cache_bytes", {"engine_settings": {"kv_cache_bytes": 1}}),
        ("max_new_tokens", {"face": FaceSettings(model_id="m", default_max_tokens=1)}),
        ("temperature", {"face": FaceSettings(model_id="m", default_temperature=0)}),
    ],
)
def test_what_means_nothing_to_an_encoder_is_refused(name: str, changes: dict[str, Any]) -> None:
    told = with_actual_engine(settings(engine="onnx", **changes), TINY_ENCODER)
    with pytest.raises(ConfigError, match=f"{name}: this model embeds texts") as caught:
        engine_of(told, TINY_ENCODER, 1)
    assert caught.value.param == name


def test_an_encoder_is_told_what_an_engine_is() -> None:
    given = settings(engine_settings={"max_model_len": 9})
    told = embedder_settings(given, Path("m"), 2)
    assert (told.num_threads, told.max_model_len, told.data_type) == (2, 9, "auto")
    assert told.max_num_seqs == given.face.max_num_seqs


def test_when_the_engine_dies_serve_and_callers_hear_of_it() -> None:
    async def test(deployment: CPUDeployment) -> None:
        await deployment.check_health()
        await deployment._engine.unload()
        with pytest.raises(EngineDead):
            await deployment.check_health()
        async with client(deployment) as http:
            health = await http.get("/health")
        assert health.status_code == 503
        assert health.json()["status"] == "dead"

    run(test)


def test_the_engine_is_unloaded_when_serve_ends_the_lifespan() -> None:
    async def test(deployment: CPUDeployment) -> None:
        told = iter(["lifespan.startup", "lifespan.shutdown"])
        said = []

        async def receive() -> dict[str, str]:
            return {"type": next(told)}

        async def send(message: Any) -> None:
            said.append(message["type"])

        await deployment.__serve_build_asgi_app__()({"type": "lifespan"}, receive, send)
        assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        with pytest.raises(EngineDead):
            await deployment.check_health()

    run(test)


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="no folder '/no/model'"):
        asyncio.run(deployed(settings(model_name="/no/model", engine="onnx")))


@pytest.mark.parametrize(("haproxy", "coalesce_ms"), [("1", 0), ("0", PROXY_COALESCE_MS)])
def test_streams_are_gathered_behind_the_python_proxy_only(
    monkeypatch: pytest.MonkeyPatch, haproxy: str, coalesce_ms: float
) -> None:
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", haproxy)
    assert with_proxy(FaceSettings(model_id="m")).coalesce_ms == coalesce_ms


def test_the_engine_is_told_what_it_needs() -> None:
    given = settings(engine_settings={"max_model_len": 9})
    told = engine_settings(given, Path("m"), num_threads=3)
    assert told.num_threads == 3
    assert told.max_model_len == 9
    assert told.max_num_seqs == given.face.max_num_seqs


@pytest.mark.parametrize(("asked", "num_threads"), [(None, 3), (2, 2)])
def test_threads_are_the_cpus_ray_gave_unless_said_otherwise(
    monkeypatch: pytest.MonkeyPatch, asked: int | None, num_threads: int
) -> None:
    monkeypatch.setattr(serve_resources, "cpus_given", lambda: 3.0)
    deployment = asyncio.run(deployed(settings(num_threads=asked)))
    assert deployment._cores.use.num_threads == num_threads


THREADS = "tests.serving.cpu.test_deployment:Threads"


class Threads(EchoEngine):
    """An engine of one's own, which says where its threads may run."""

    async def load(self) -> None:
        self.loader = await asyncio.to_thread(os.sched_getaffinity, 0)
        self._go_on, self.own = threading.Event(), []
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        await super().load()

    def _look(self) -> None:
        self._go_on.wait()
        self.own = os.sched_getaffinity(0)

    async def unload(self) -> None:
        self._go_on.set()
        self._thread.join()
        await super().unload()


def test_whatever_an_engine_starts_stays_on_its_cores(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        everywhere = os.sched_getaffinity(0)
        with caplog.at_level(logging.INFO):
            deployment = await deployed(
                settings(model_name=str(tmp_path), engine=THREADS, num_threads=1)
            )
        engine, use = deployment._engine, deployment._cores.use
        async with client(deployment) as http:
            told = (await http.get("/health")).json()["cpu"]
        await engine.unload()
        assert os.sched_getaffinity(0) == everywhere  # HTTP's thread is
        assert (use.pinned, use.num_threads) == (True, 1)
        assert engine.loader == engine.own == parse_cpus(use.cores)
        assert len(engine.own) == 1
        assert (told["cores"], told["pinned"]) == (use.cores, True)
        assert f"1 thread on CPUs {use.cores}" in caplog.text

    asyncio.run(test())


def test_cores_are_left_alone_where_that_is_wanted(tmp_path: Path) -> None:
    told = settings(model_name=str(tmp_path), engine=THREADS, num_threads=1, pin_cores=False)
    deployment = asyncio.run(deployed(told))
    asyncio.run(deployment._engine.unload())
    assert not deployment._cores.use.pinned
    assert deployment._engine.own == os.sched_getaffinity(0)


def test_what_the_operator_should_know_is_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        "serving.cpu.deployment.this_processor", lambda: Processor("x86_64", "AMD", "AMD EPYC")
    )
    asyncio.run(deployed(settings(target_device="INTEL")))
    assert "set target_device: AMD" in caplog.text


@pytest.mark.parametrize(
    ("path", "root_path", "seen"),
    [
        ("/cpu", "/cpu", "/cpu/"),
        ("/cpu/", "/cpu", "/cpu/"),
        ("/cpu/v1/models", "/cpu", "/cpu/v1/models"),
        ("/", "", "/"),
    ],
)
def test_the_bare_prefix_is_its_root(path: str, root_path: str, seen: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["path"] == seen

    async def unload() -> None:
        raise AssertionError("nobody ended the lifespan")

    scope = {"type": "http", "path": path, "root_path": root_path}
    asyncio.run(ServeApp(app, unload)(scope, None, None))  # type: ignore[arg-type]
