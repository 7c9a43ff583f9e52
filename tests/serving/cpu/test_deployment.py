"""serving.cpu.deployment: one engine and its HTTP face, without Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.cpu.deployment import (
    CPUDeployment,
    CPUSettings,
    engine_settings,
)
from serving.errors import ConfigError, EngineDead
from serving.http import FaceSettings
from serving.serve_app import PROXY_COALESCE_MS, ServeApp, with_proxy


def settings(**changes: Any) -> CPUSettings:
    given = {"model_name": "m", "engine": "echo", "face": FaceSettings(model_id="m")}
    return CPUSettings(**(given | changes))


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


@pytest.mark.parametrize(("asked", "num_threads"), [(None, 3), (2, 2)])
def test_threads_are_the_cpus_ray_gave_unless_said_otherwise(
    monkeypatch: pytest.MonkeyPatch, asked: int | None, num_threads: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    given = settings(num_threads=asked, engine_settings={"max_model_len": 9})
    told = engine_settings(given, Path("m"))
    assert told.num_threads == num_threads
    assert told.max_model_len == 9
    assert told.max_num_seqs == given.face.max_num_seqs


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
