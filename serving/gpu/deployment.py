"""VLLMPredictDeployment: one model on a node's GPUs through vLLM, as a Ray Serve deployment.

A plain class; the builder decorates it with `serve.ingress()`, whose late-bound application comes
from `__serve_build_asgi_app__`. Ray calls every method here on the replica's one event loop.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from serving.conversion.manifest import converted_folder, read_manifest
from serving.errors import ConfigError, EngineDead
from serving.gpu.cpu_device import on_cpu, prepare_environment
from serving.gpu.gpu_arithmetic import check_replicas
from serving.gpu.memory_advice import (
    Fallback,
    advice,
    fall_back,
    kv_cache_advice,
    need,
    recommendation,
)
from serving.gpu.placement import (
    GPU_MEMORY_UTILIZATION,
    Executor,
    Wanted,
    gpus_to_reserve,
    memory_share,
    place,
    place_on_cpu,
)
from serving.gpu.start_turn import start_turn
from serving.gpu.vllm_adapter import (
    VLLMEngine,
    device_memory_bytes,
    num_gpus_given,
    start_engine,
)
from serving.gpu.vllm_app import VLLMFace
from serving.gpu.vllm_settings import VLLMSettings, vllm_arguments
from serving.gpu.vllm_startup import StartupLog
from serving.gpu.vllm_stat_loggers import stat_loggers_in_ray, token_gaps_to
from serving.http.closing import close_port
from serving.http.settings import FaceSettings
from serving.model_shape import lora_rank, read_config, read_shape
from serving.model_source import fetch_model, find_folder
from serving.serve_app import ServeApp, with_proxy

logger = logging.getLogger("ray.serve")  # the log Serve keeps for its replicas

WATCH_S = 0.05  # between two looks at whether vLLM lives
GRACE_S = 10.0  # for those whose requests died with it to be told so
PROGRESS_S = 1.0  # between two looks at how far the start is
OUT_OF_MEMORY = re.compile(r"out of memory|OutOfMemory", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class GPUSettings:
    """What one replica is told."""

    model_name: str  # a folder, or owner/name on the Hugging Face Hub
    face: FaceSettings
    vllm: VLLMSettings
    conversion: str | None = None  # the folder in the model's that holds its converted weights
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
        """Returns at once; the model is loaded beside it, and `check_health` waits for that.

        So the replica's own port tells how far a long start is, while Serve, which awaits the
        first health check, sends nobody here before the model answers.
        """
        from serving.http.ray_metrics import RaySink  # Ray is sure to be here, in its replica
        from serving.serve_resources import all_replicas

        face = with_proxy(settings.face)
        self._face = VLLMFace(
            face,
            max_input_len=settings.vllm.max_input_len,
            sinks=[RaySink(face.model_id)],
            resources=all_replicas(num_cpus(), settings.num_gpus),
        )
        self._model_id = face.model_id
        self._doing = ""
        self._engine: VLLMEngine | None = None
        self._watch: asyncio.Task[None] | None = None
        self._start = asyncio.create_task(self._load(settings))

    async def _load(self, settings: GPUSettings) -> None:
        try:
            check_share(settings)
            folder = await self._fetch(settings)
            self._gpus = await reserved(settings)
            self._engine = await self._started(settings, folder)
        except Exception as error:
            self._face.failed(error)
            raise
        self._face.ready(self._engine)
        self._watch = asyncio.create_task(self._end_with_engine(self._engine))
        freeze_garbage()
        logger.info("%s answers, engine vllm", self._model_id)

    async def _fetch(self, settings: GPUSettings) -> Path:
        self._tell(f"fetching {settings.model_name}")
        if settings.hf_token is not None:  # vLLM's workers on other nodes fetch for themselves
            os.environ["HF_TOKEN"] = settings.hf_token
        token = os.environ.get("HF_TOKEN")
        folder = await asyncio.to_thread(lambda: fetch_model(settings.model_name, token=token))
        if settings.conversion is not None:
            folder = converted_folder(folder, settings.conversion)
            read_manifest(folder)
        return folder

    async def _started(self, settings: GPUSettings, folder: Path) -> VLLMEngine:
        wanted = settings.wanted
        if wanted is not None and wanted.shares_gpu:
            self._tell("waiting for its turn to start")
        async with start_turn(wanted):
            startup = StartupLog(folder, on_this_node=wanted is None or not wanted.spans_nodes)
            telling = asyncio.create_task(self._tell_progress(startup))
            try:
                loggers = [*stat_loggers_in_ray(), token_gaps_to(self._face.pace.hear)]
                return await start(settings, folder, startup, loggers, node_gpus())
            finally:
                telling.cancel()
                startup.close()

    async def _tell_progress(self, startup: StartupLog) -> None:
        while True:
            self._tell(await asyncio.to_thread(startup.progress))
            await asyncio.sleep(PROGRESS_S)

    async def _end_with_engine(self, engine: VLLMEngine) -> None:
        """End this process soon after vLLM has died.

        Serve replaces a replica that is gone at once, and its proxy sends nobody there. One that
        only says that it is unwell is asked three times first, and is sent requests meanwhile.
        """
        error = None
        while error is None:
            await asyncio.sleep(WATCH_S)
            error = await death(engine)
        logger.error("%s: %s This replica ends.", self._model_id, error.message)
        self._face.failed(error)
        await close_port(GRACE_S)
        end_process()

    def _tell(self, what: str) -> None:
        if what != self._doing:
            logger.info("%s: %s", self._model_id, what)
            self._doing = what
            self._face.loading(what)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return ServeApp(self._face.asgi_app(), self._unload)

    async def _unload(self) -> None:
        self._start.cancel()
        if self._watch is not None:
            self._watch.cancel()  # an engine that is ended in good order has not died
        if self._engine is not None:
            await self._engine.unload()

    async def check_health(self) -> None:
        """Return when the model answers; raise ConfigError where it cannot be started, EngineDead
        when Serve should replace this replica.
        """
        await asyncio.shield(self._start)
        try:
            await self._face.check_health()
        except Exception as error:
            self._face.failed(error)
            raise


async def death(engine: VLLMEngine) -> EngineDead | None:
    """What an engine that has died says; None while it lives."""
    try:
        await engine.check_health()
    except EngineDead as error:
        return error
    return None


def end_process() -> None:
    """At once: nothing is left here that could end in good order."""
    os._exit(1)


def num_cpus() -> int:
    """Ray sets OMP_NUM_THREADS to the CPUs it gave the replica."""
    return int(os.environ.get("OMP_NUM_THREADS", "1"))


def freeze_garbage() -> None:
    """What the start has made stays: the collector need not walk it again while requests run."""
    gc.collect()
    gc.freeze()


def check_share(settings: GPUSettings) -> None:
    """Raise ConfigError when the deployment's replicas do not fill the GPUs they share."""
    from serving.serve_resources import fixed_replicas

    num_replicas = fixed_replicas()
    if settings.wanted is not None and num_replicas is not None:
        check_replicas(num_replicas, settings.wanted.replicas_per_gpu)


async def reserved(settings: GPUSettings) -> Any:
    """Whatever holds this replica's GPUs if Ray gave it none; None where it did, or needs none."""
    wanted = settings.wanted
    missing = 0.0 if wanted is None else gpus_to_reserve(wanted, num_gpus_given())
    if not missing:
        return None
    from serving.gpu.reserved_gpus import reserve_gpus

    return await reserve_gpus(missing)


def node_gpus() -> int:
    """GPUs of the node this replica is on."""
    from serving.serve_resources import gpus_of_this_node

    return gpus_of_this_node()


async def start(
    settings: GPUSettings,
    folder: Path,
    startup: StartupLog,
    stat_loggers: list[Any] | None = None,
    num_gpus: int = 1,
) -> VLLMEngine:
    """vLLM with the model in `folder`; where it does not fit, once more with the fallback chosen.

    `num_gpus`: those of the node, for advice. Raises ConfigError, which tells how much memory was
    needed where that was the reason.
    """
    told = with_share(settings)
    if settings.wanted is None:
        prepare_environment(told)
    try:
        engine = await start_engine(
            arguments(settings, told, folder), startup=startup, stat_loggers=stat_loggers
        )
    except ConfigError as error:
        instead = what_fits(told, folder, settings.oom_fallback, error, num_gpus)
        logger.warning("%s; trying %s", error.message, settings.oom_fallback)
    else:
        log_better_use(told, folder, num_gpus)
        return engine
    startup.clear()
    return await start_engine(
        arguments(settings, instead, folder), startup=startup, stat_loggers=stat_loggers
    )


def log_better_use(told: VLLMSettings, folder: Path, num_gpus: int) -> None:
    """Say so when the model would fit fewer GPUs than each replica takes."""
    shape = read_shape(folder) if told.num_gpus > 1 else None
    if shape is None:
        return
    best = recommendation(shape, told, available_bytes(told), num_gpus)
    if best is not None and best.tensor_parallel_size < told.num_gpus:
        logger.warning(
            "gpu_count: a replica takes %d GPUs and would fit %d; on this node's %d GPUs %s",
            told.num_gpus,
            best.tensor_parallel_size,
            num_gpus,
            best.sentence(),
        )


def with_share(settings: GPUSettings) -> VLLMSettings:
    """vLLM's settings with this replica's share of its device's memory."""
    if settings.wanted is None:
        return on_cpu(settings.vllm, os.environ)
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
    """How vLLM's workers run."""
    if settings.wanted is None:
        return place_on_cpu(1, settings.vllm.tensor_parallel_size).executor
    return place(settings.wanted).executor


def available_bytes(told: VLLMSettings) -> int:
    """What vLLM may use of each GPU's memory."""
    share = told.gpu_memory_utilization or GPU_MEMORY_UTILIZATION
    return int(device_memory_bytes() * share)


def what_fits(
    told: VLLMSettings, folder: Path, how: Fallback | None, error: ConfigError, num_gpus: int
) -> VLLMSettings:
    """The settings to try after `error`; raises it, with advice where memory is the reason."""
    if error.param is not None:  # a setting is wrong, and says so itself
        raise error
    shape = read_shape(folder)
    if shape is None:
        raise error
    if (said := kv_cache_advice(shape, told)) is not None:
        raise ConfigError(f"{error.message}; {said}", param="kv_cache_bytes") from error
    room = available = available_bytes(told)
    needed = need(shape, told).total_bytes
    if needed <= available:
        if not OUT_OF_MEMORY.search(error.message):
            raise error
        # vLLM has measured more than we reckon: what helps must need a tenth less.
        room = needed * 9 // 10
    instead = None if how is None else fall_back(shape, told, room, how)
    if instead is None:
        message = f"{error.message}; {advice(shape, told, available, num_gpus, room)}"
        raise ConfigError(message, param="model_name") from error
    return instead


def serve_options(settings: GPUSettings, cpus: float) -> Mapping[str, Any]:
    """Keyword arguments of `serve.deployment` for the builder."""
    if settings.wanted is None:
        return place_on_cpu(cpus, settings.vllm.tensor_parallel_size).serve_options()
    return place(replace(settings.wanted, num_cpus=cpus)).serve_options()
