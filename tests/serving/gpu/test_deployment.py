"""serving.gpu.deployment: settings on their way to vLLM, and one more try when memory is short."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serving.errors import ConfigError
from serving.gpu import deployment
from serving.gpu.deployment import GPUSettings, arguments, serve_options, start, with_share
from serving.gpu.placement import Wanted
from serving.gpu.vllm_settings import VLLMSettings
from serving.http import FaceSettings

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


def started(monkeypatch: pytest.MonkeyPatch, settings: GPUSettings) -> list[dict[str, Any]]:
    """What vLLM was told, each time, by a start of which only one with changes succeeds."""
    told: list[dict[str, Any]] = []

    async def start_engine(arguments: dict[str, Any], *, stat_loggers: Any) -> str:
        told.append(arguments)
        if len(told) == 1:
            raise ConfigError("vLLM could not start: CUDA out of memory")
        return "engine"

    monkeypatch.setattr(deployment, "start_engine", start_engine)
    assert asyncio.run(start(settings, [])) == "engine"
    return told


def test_a_model_that_does_not_fit_is_explained(monkeypatch):
    with pytest.raises(ConfigError, match=r"out of memory; each GPU needs about .* has 0\.9 GiB"):
        started(monkeypatch, PLAIN)


def test_another_failure_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(deployment, "device_memory_bytes", lambda: 80 * 2**30)
    with pytest.raises(ConfigError) as caught:
        started(monkeypatch, replace(PLAIN, oom_fallback="offload"))
    assert caught.value.message == "vLLM could not start: CUDA out of memory"


def test_the_fallback_is_tried_once(monkeypatch):
    # Between the two thirds that the weights need whole and what they need in 8 bits.
    weights = (DEMO_MODEL / "model.safetensors").stat().st_size
    cache = 4096 * 2 * 4 * 2 * 64 * 2
    available = 2**30 + cache + int(weights * 0.8)
    monkeypatch.setattr(deployment, "device_memory_bytes", lambda: int(available / 0.92))
    first, second = started(monkeypatch, replace(PLAIN, oom_fallback="quantize"))
    assert "quantization" not in first
    assert second["quantization"] == "fp8"
