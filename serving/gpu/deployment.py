"""VLLMPredictDeployment: one model on a node's GPUs through vLLM, as a Ray Serve deployment.

A plain class; the builder decorates it with `serve.ingress()`, whose late-bound application comes
from `__serve_build_asgi_app__`. Ray calls every method here on the replica's one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from serving.cpu.deployment import with_proxy
from serving.cpu.serve_app import ServeApp
from serving.errors import ConfigError
from serving.gpu.coalesce import CoalesceMiddleware
from serving.gpu.memory_advice import Fallback, advice, fall_back, need
from serving.gpu.model_shape import lora_rank, read_config, read_shape
from serving.gpu.placement import (
    GPU_MEMORY_UTILIZATION,
    Executor,
    Wanted,
    executor_here,
    memory_share,
    place,
    place_on_cpu,
)
from serving.gpu.vllm_adapter import (
    VLLMEngine,
    device_memory_bytes,
    num_gpus_given,
    ray_stat_logger,
    start_engine,
)
from serving.gpu.vllm_app import VLLMFace
from serving.gpu.vllm_settings import VLLMSettings, vllm_arguments
from serving.http.settings import FaceSettings
from serving.model_source import fetch_model, find_folder

logger = logging.getLogger("ray.serve")  # the log Serve keeps for its replicas


@dataclass(frozen=True, slots=True, kw_only=True)
class GPUSettings:
    """What one replica is told."""

    model_name: str  # a folder, or owner/name on the Hugging Face Hub
    face: FaceSettings
    vllm: VLLMSettings
    wanted: Wanted | None = field(default_factory=Wanted)  # None: a vLLM built for CPUs
    oom_fallback: Fallback | None = None  # what to try once when the model does not fit
    hf_token: str | None = field(default=None, repr=False)

    @property
    def max_requests(self) -> int:
        """Requests the replica holds at most, running or waiting."""
        return self.face.max_num_seqs + self.face.max_queued_requests

    @property
    def num_gpus(self) -> int:
        """GPUs that one replica uses, whole or in part."""
        return 0 if self.wanted is None else self.wanted.num_gpus


class VLLMPredictDeployment:
    """Starts vLLM and answers HTTP for it."""

    async def __init__(self, settings: GPUSettings) -> None:  # type: ignore[misc]  # Serve awaits it
        """Returns when the model answers, so that Serve sends nobody here before it does."""
        from serving.http.ray_metrics import RaySink  # Ray is sure to be here, in its replica
        from serving.serve_resources import all_replicas

        face = with_proxy(settings.face)
        self._coalesce_s = face.coalesce_ms / 1000
        logger.info("%s: reading weights of %s", face.model_id, settings.model_name)
        self._engine = await start(settings, [ray_stat_logger()])
        self._face = VLLMFace(
            face,
            self._engine,
            max_input_len=settings.vllm.max_input_len,
            sinks=[RaySink(face.model_id)],
            resources=all_replicas(num_cpus(), settings.num_gpus),
        )
        logger.info("%s answers, engine vllm", face.model_id)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        app = self._face.asgi_app()
        if self._coalesce_s:
            app = CoalesceMiddleware(app, self._coalesce_s)
        return ServeApp(app, self._engine.unload)

    async def check_health(self) -> None:
        """Raise EngineDead when Serve should replace this replica."""
        try:
            await self._engine.check_health()
        except Exception as error:
            self._face.failed(error)
            raise


def num_cpus() -> int:
    """Ray sets OMP_NUM_THREADS to the CPUs it gave the replica."""
    return int(os.environ.get("OMP_NUM_THREADS", "1"))


async def start(settings: GPUSettings, stat_loggers: list[Any]) -> VLLMEngine:
    """vLLM with the model; where it does not fit, once more with the fallback that was chosen.

    Raises ConfigError, which tells how much memory was needed where that was the reason.
    """
    token = settings.hf_token or os.environ.get("HF_TOKEN")
    folder = await asyncio.to_thread(lambda: fetch_model(settings.model_name, token=token))
    told = with_share(settings)
    try:
        return await start_engine(arguments(settings, told, folder), stat_loggers=stat_loggers)
    except ConfigError as error:
        instead = what_fits(told, folder, settings.oom_fallback, error)
        logger.warning("%s; trying %s", error.message, settings.oom_fallback)
    return await start_engine(arguments(settings, instead, folder), stat_loggers=stat_loggers)


def with_share(settings: GPUSettings) -> VLLMSettings:
    """vLLM's settings with this replica's share of its GPU's memory."""
    if settings.wanted is None:
        return settings.vllm
    share = memory_share(settings.wanted, settings.vllm.gpu_memory_utilization)
    return replace(settings.vllm, gpu_memory_utilization=share)


def arguments(settings: GPUSettings, told: VLLMSettings, folder: Path) -> dict[str, Any]:
    """vLLM's arguments for the model in `folder`."""
    ranks = [lora_rank(Path(path)) for path in told.lora_adapters.values()]
    return vllm_arguments(
        told,
        model_for_workers(settings, folder),
        settings.face.model_names[:1],
        model_config=read_config(folder),
        max_lora_rank=max(ranks, default=None),
        executor=executor(settings),
    )


def model_for_workers(settings: GPUSettings, folder: Path) -> Path | str:
    """Workers on other nodes fetch a hub's model themselves; ours is a folder of this node."""
    spans = settings.wanted is not None and settings.wanted.spans_nodes
    return settings.model_name if spans and find_folder(settings.model_name) is None else folder


def executor(settings: GPUSettings) -> Executor:
    """How vLLM's workers run, given what Ray gave this replica."""
    if settings.wanted is None:
        return place_on_cpu(1, settings.vllm.tensor_parallel_size).executor
    return executor_here(settings.wanted, place(settings.wanted).executor, num_gpus_given())


def what_fits(
    told: VLLMSettings, folder: Path, how: Fallback | None, error: ConfigError
) -> VLLMSettings:
    """The settings to try after `error`; raises it, with advice where memory is the reason."""
    shape = read_shape(folder)
    if shape is None:
        raise error
    share = told.gpu_memory_utilization or GPU_MEMORY_UTILIZATION
    available = int(device_memory_bytes() * share)
    if need(shape, told).total_bytes <= available:
        raise error
    instead = None if how is None else fall_back(shape, told, available, how)
    if instead is None:
        message = f"{error.message}; {advice(shape, told, available)}"
        raise ConfigError(message, param="model_name") from error
    return instead


def serve_options(settings: GPUSettings, cpus: float) -> Mapping[str, Any]:
    """Keyword arguments of `serve.deployment` for the builder."""
    if settings.wanted is None:
        return place_on_cpu(cpus, settings.vllm.tensor_parallel_size).serve_options()
    return place(replace(settings.wanted, num_cpus=cpus)).serve_options()
