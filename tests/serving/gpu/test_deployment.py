"""serving.gpu.deployment: settings on their way to vLLM, and one more try when memory is short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.errors import ConfigError, EngineDead
from serving.gpu import deployment
from serving.gpu.deployment import (
    GPUSettings,
    VLLMPredictDeployment,
    arguments,
    serve_options,
    start,
    with_share,
)
from serving.gpu.placement import Wanted
from serving.gpu.vllm_settings import VLLMSettings
from serving.gpu.vllm_startup import StartupLog
from serving.http import FaceSettings
from tests.serving.gpu.fake_vllm import FakeEngine

OUT_OF_MEMORY = "vLLM could not start: CUDA out of memory"
DEMO_MODEL = Path(__file__).parents[3] / "models" / "anynode-demo"
PLAIN = GPUSettings(
    model_name=str(DEMO_MODEL),
    face=FaceSettings(model_id="demo", max_num_seqs=4, max_queued_requests=6),
    vllm=VLLMSettings(max_num_seqs=4),
)


@pytest.fixture(autouse=True)
def one_small_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "num_gpus_given", lambda: 1)
    monkeypatch.setattr(deployment, "device_memory_bytes", lambda: 2**30)


def test_a_replica_holds_those_that_run_and_those_that_wait():
    assert PLAIN.max_requests == 10
    assert PLAIN.num_gpus == 1
    assert replace(PLAIN, wanted=None).num_gpus == 0


def test_vllm_gets_the_folder_and_the_name():
    told = arguments(PLAIN, PLAIN.vllm, DEMO_MODEL)
    assert told["model"] == str(DEMO_MODEL)
    assert told["served_model_name"] == ["demo"]
    assert "distributed_executor_backend" not in told


def test_workers_on_other_nodes_get_the_hubs_name():
    settings = replace(PLAIN, model_name="owner/name", wanted=Wanted(pipeline_parallel_size=2))
    told = arguments(settings, settings.vllm, DEMO_MODEL)
    assert told["model"] == "owner/name"
    assert told["distributed_executor_backend"] == "ray"


def test_replicas_that_share_a_gpu_share_its_memory():
    shared = replace(PLAIN, wanted=Wanted(replicas_per_gpu=2))
    assert with_share(shared).gpu_memory_utilization == 0.46
    assert with_share(PLAIN).gpu_memory_utilization is None


def test_serve_is_told_the_cpus_and_the_gpus():
    assert serve_options(PLAIN, 3) == {"ray_actor_options": {"num_cpus": 3, "num_gpus": 1}}
    on_cpu = serve_options(replace(PLAIN, wanted=None), 2)
    assert on_cpu == {"ray_actor_options": {"num_cpus": 2, "num_gpus": 0}}


def started(
    monkeypatch: pytest.MonkeyPatch, settings: GPUSettings, error: str = OUT_OF_MEMORY
) -> list[dict[str, Any]]:
    """What vLLM was told, each time, by a start of which only one with changes succeeds."""
    told: list[dict[str, Any]] = []

    async def start_engine(arguments: dict[str, Any], *, startup: Any, stat_loggers: Any) -> str:
        told.append(arguments)
        if len(told) == 1:
            raise ConfigError(error)
        return "engine"

    monkeypatch.setattr(deployment, "start_engine", start_engine)
    startup = StartupLog(DEMO_MODEL)
    try:
        assert asyncio.run(start(settings, DEMO_MODEL, startup, num_gpus=8)) == "engine"
    finally:
        startup.close()
    return told


def test_a_model_that_does_not_fit_is_explained(monkeypatch):
    with pytest.raises(ConfigError, match=r"out of memory; each GPU needs about .* has 0\.9 GiB"):
        started(monkeypatch, PLAIN)


def test_another_failure_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(deployment, "device_memory_bytes", lambda: 80 * 2**30)
    with pytest.raises(ConfigError) as caught:
        started(monkeypatch, replace(PLAIN, oom_fallback="offload"), "vLLM could not start: no")
    assert caught.value.message == "vLLM could not start: no"


def test_where_the_reckoning_says_it_fits_vllm_is_believed(monkeypatch):
    monkeypatch.setattr(deployment, "device_memory_bytes", lambda: 80 * 2**30)
    with pytest.raises(ConfigError, match=r"has 73\.6 GiB, which was not enough; "):
        started(monkeypatch, PLAIN)


def test_a_kv_cache_that_is_too_small_is_named(monkeypatch):
    small = replace(PLAIN, vllm=replace(PLAIN.vllm, kv_cache_bytes=1_000_000))
    with pytest.raises(ConfigError, match="kv_cache_bytes: 1000000 is less than") as caught:
        started(monkeypatch, small, "vLLM could not start: no room for one request")
    assert caught.value.param == "kv_cache_bytes"


def test_a_replica_that_is_wider_than_needed_is_told_in_the_log(monkeypatch, caplog):
    monkeypatch.setattr(deployment, "device_memory_bytes", lambda: 80 * 2**30)
    told = replace(PLAIN.vllm, tensor_parallel_size=4)
    deployment.log_better_use(told, DEMO_MODEL, 8)
    assert "gpu_count: a replica takes 4 GPUs and would fit 1" in caplog.text
    assert "set gpu_count: 1 and num_replicas: 8" in caplog.text


class Started:
    """What start() gives, as far as the deployment asks."""

    dead = False
    unloaded = False
    max_model_len, parses_chat = 100, False

    def __init__(self) -> None:
        self.app, self.routes = FakeEngine().app, []

    async def check_health(self) -> None:
        if self.dead:
            raise EngineDead("vLLM's engine process has died.")

    async def unload(self) -> None:
        self.unloaded = True


@asynccontextmanager
async def deployed(monkeypatch: pytest.MonkeyPatch, start: Any) -> AsyncIterator[Any]:
    """A deployment as Serve makes one, with a client at its own port."""
    monkeypatch.setattr(deployment, "start", start)
    monkeypatch.setattr(deployment, "node_gpus", lambda: 1)
    monkeypatch.setattr(deployment, "stat_loggers_in_ray", list)
    monkeypatch.setattr(deployment, "token_gaps_to", lambda hear: hear)
    monkeypatch.setattr(deployment, "check_share", lambda settings: None)
    monkeypatch.setattr("serving.http.ray_metrics.RaySink", lambda model_name: NoSink())
    made = VLLMPredictDeployment.__new__(VLLMPredictDeployment)
    await VLLMPredictDeployment.__init__(made, PLAIN)  # type: ignore[func-returns-value]
    transport = httpx.ASGITransport(made.__serve_build_asgi_app__())
    async with httpx.AsyncClient(transport=transport, base_url="http://replica") as http:
        yield made, http


class NoSink:
    def add(self, metric: Any, value: float, label: str | None = None) -> None:
        pass


def test_its_own_port_answers_while_the_first_health_check_waits(monkeypatch):
    async def test() -> None:
        may_go_on = asyncio.Event()

        async def start(*given: Any) -> Started:
            await may_go_on.wait()
            return Started()

        async with deployed(monkeypatch, start) as (made, http):
            waiting = asyncio.create_task(made.check_health())
            await asyncio.sleep(0.05)
            health = (await http.get("/health")).json()
            assert (health["status"], health["model"]) == ("loading", "demo")
            assert health["doing"] == "starting vLLM's processes"
            assert not waiting.done()
            may_go_on.set()
            await waiting
            assert (await http.get("/health")).status_code == 200
            await made._unload()
            assert made._engine.unloaded

    asyncio.run(test())


def test_a_start_that_fails_fails_the_first_health_check(monkeypatch):
    async def test() -> None:
        async def start(*given: Any) -> Started:
            raise ConfigError("vLLM could not start: no such model")

        async with deployed(monkeypatch, start) as (made, http):
            for _ in range(2):
                with pytest.raises(ConfigError, match="no such model"):
                    await made.check_health()
            health = (await http.get("/health")).json()
            assert (health["status"], "no such model" in health["error"]) == ("dead", True)

    asyncio.run(test())


def test_the_fallback_is_tried_once(monkeypatch):
    # Between the two thirds that the weights need whole and what they need in 8 bits.
    weights = (DEMO_MODEL / "model.safetensors").stat().st_size
    cache = 4096 * 2 * 4 * 2 * 64 * 2
    available = 2**30 + cache + int(weights * 0.8)
    monkeypatch.setattr(deployment, "device_memory_bytes", lambda: int(available / 0.92))
    first, second = started(monkeypatch, replace(PLAIN, oom_fallback="quantize"))
    assert "quantization" not in first
    assert second["quantization"] == "fp8"


def test_a_replica_whose_engine_has_died_ends_itself(monkeypatch):
    async def test() -> None:
        async def start(*given: Any) -> Started:
            return Started()

        ended = asyncio.Event()
        monkeypatch.setattr(deployment, "end_process", ended.set)
        async with deployed(monkeypatch, start) as (made, http):
            await made.check_health()
            made._engine.dead = True
            with pytest.raises(EngineDead):
                await made.check_health()
            assert (await http.get("/health")).json()["status"] == "dead"
            await asyncio.wait_for(ended.wait(), 5)

    asyncio.run(test())


def test_an_engine_that_is_unloaded_has_not_died(monkeypatch):
    async def test() -> None:
        async def start(*given: Any) -> Started:
            return Started()

        ended = asyncio.Event()
        monkeypatch.setattr(deployment, "end_process", ended.set)
        async with deployed(monkeypatch, start) as (made, _):
            await made.check_health()
            await made._unload()
            made._engine.dead = True  # as vLLM's client says of itself from then on
            await asyncio.sleep(10 * deployment.WATCH_S)
            assert not ended.is_set()

    asyncio.run(test())


def test_a_setting_that_is_wrong_gets_no_advice_on_memory(monkeypatch):
    wrong = ConfigError("engine_kwargs.x: no such argument", param="engine_kwargs")
    with pytest.raises(ConfigError) as caught:
        deployment.what_fits(PLAIN.vllm, DEMO_MODEL, "quantize", wrong, 8)
    assert caught.value is wrong


def test_its_port_is_closed_before_it_ends(monkeypatch):
    async def test() -> None:
        async def start(*given: Any) -> Started:
            return Started()

        closing, closed, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def close_port(limit_s: float) -> None:
            closing.set()
            await closed.wait()

        monkeypatch.setattr(deployment, "close_port", close_port)
        monkeypatch.setattr(deployment, "end_process", ended.set)
        async with deployed(monkeypatch, start) as (made, _):
            await made.check_health()
            made._engine.dead = True
            await asyncio.wait_for(closing.wait(), 5)
            assert not ended.is_set()
            closed.set()
            await asyncio.wait_for(ended.wait(), 5)

    asyncio.run(test())
