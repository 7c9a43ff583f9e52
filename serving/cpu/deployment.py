"""CPUDeployment: one model on one node's CPUs, as a Ray Serve deployment.

A plain class; the builder decorates it with `serve.ingress()`, whose late-bound application comes
from `__serve_build_asgi_app__`. Ray calls every method here on the replica's one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from serving.cpu.auto_engine import AUTO, choose_engine
from serving.cpu.core_plan import Wanted
from serving.cpu.engine_cores import EngineCores, take_cores
from serving.cpu.engines import KNOWN, WHY, actual_engine
from serving.cpu.pinning import may_pin
from serving.cpu.processor import this_processor
from serving.cpu.topology import this_machine
from serving.embedder import Embedder, EmbedderSettings, embeds
from serving.engine import Engine, find_class
from serving.errors import ConfigError
from serving.http import FaceSettings, ReplicaFace
from serving.model_source import fetch_model
from serving.serve_app import ServeApp, with_proxy
from serving.thread_policy import be_an_engine
from serving.types import EngineSettings

logger = logging.getLogger("ray.serve")  # the log Serve keeps for its replicas

NEED_NO_FILES = frozenset({"echo"})  # engines without a model


@dataclass(frozen=True, slots=True, kw_only=True)
class CPUSettings:
    """What one replica is told; checked by the engine and by the face."""

    model_name: str  # a folder, or owner/name on the Hugging Face Hub
    engine: str
    face: FaceSettings
    engine_is_named: bool = True  # by the operator; otherwise it is the device's usual one
    engine_reason: str = ""  # why this engine, for the log and /health
    engine_settings: Mapping[str, Any] = field(default_factory=dict)  # of EngineSettings
    num_threads: int | None = None  # None: as many CPUs as Ray gave the replica
    replicas_per_socket: int | None = None  # each has its part of one socket's cores
    pin_cores: bool | None = None  # see core_plan.Wanted
    target_device: str | None = None  # whose CPU this should be: INTEL or AMD
    hf_token: str | None = field(default=None, repr=False)

    @property
    def max_requests(self) -> int:
        """Requests the replica holds at most, running or waiting."""
        return self.face.max_num_seqs + self.face.max_queued_requests


class CPUDeployment:
    """Loads one engine and answers HTTP for it."""

    async def __init__(self, settings: CPUSettings) -> None:  # type: ignore[misc]  # Serve awaits it
        """Returns when the model answers, so that Serve sends nobody here before it does.

        Serve opens the replica's port only then; what the face says while loading is seen by
        those who hold this object, and by logs.
        """
        be_an_engine()
        self._cores = await cores(settings)
        with self._cores.starting_engine():
            folder = await _folder(settings)
            settings = with_actual_engine(settings, folder)
            self._engine = engine_of(settings, folder, self._cores.use.num_threads)
            self._face = self._create_face(settings)
            await self._load()
        logger.info(
            "%s answers, engine %s: %s",
            settings.face.model_id,
            settings.engine,
            settings.engine_reason,
        )

    def _create_face(self, settings: CPUSettings) -> ReplicaFace:
        from serving.http.ray_metrics import RaySink  # Ray is sure to be here, in its replica
        from serving.serve_resources import all_replicas

        return ReplicaFace(
            with_proxy(settings.face),
            self._engine,
            settings.engine,
            engine_reason=settings.engine_reason,
            sinks=[RaySink(settings.face.model_id)],
            resources=all_replicas(self._cores.num_cpus),
            cpu=self._cores.use,
        )

    async def _load(self) -> None:
        self._face.loading("reading weights")
        try:
            await self._engine.load()
        except Exception as error:
            self._face.failed(error)
            raise
        self._face.ready()

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return ServeApp(self._face.asgi_app(), self._engine.unload)

    async def check_health(self) -> None:
        """Raise EngineDead when Serve should replace this replica."""
        try:
            await self._engine.check_health()
        except Exception as error:
            self._face.failed(error)
            raise


async def cores(settings: CPUSettings) -> EngineCores:
    """The CPUs of the engine, which the log tells of."""
    taken = await take_cores(
        wanted(settings), this_machine(), this_processor(), target_device=settings.target_device
    )
    logger.info("%s: %s", settings.face.model_id, taken.use.sentence())
    for warning in taken.use.warnings:
        logger.warning("%s: %s", settings.face.model_id, warning)
    return taken


def wanted(settings: CPUSettings) -> Wanted:
    """What to ask of this machine, by the settings and by what Ray gave the replica."""
    from serving.serve_resources import cpus_given, cpus_of_this_node

    return Wanted(
        num_cpus=cpus_given(),
        node_cpus=cpus_of_this_node(),
        num_threads=settings.num_threads,
        replicas_per_socket=settings.replicas_per_socket,
        pin=settings.pin_cores if settings.engine not in NEED_NO_FILES and may_pin() else False,
    )


async def _folder(settings: CPUSettings) -> Path:
    """Where the model is on this machine, fetched first if need be."""
    if settings.engine in NEED_NO_FILES:
        return Path(settings.model_name)
    token = settings.hf_token or os.environ.get("HF_TOKEN")
    return await asyncio.to_thread(partial(fetch_model, settings.model_name, token=token))


def with_actual_engine(settings: CPUSettings, folder: Path) -> CPUSettings:
    """The settings with the engine that runs the model in `folder`, where `auto` leaves it open or
    the model wants another; safe to call twice.
    """
    named = settings.engine_is_named and settings.engine != AUTO
    actual = actual_engine(settings.engine, folder, named=named)
    if actual != AUTO:
        reason = settings.engine_reason if actual == settings.engine else WHY[actual]
        return replace(settings, engine=actual, engine_reason=reason)
    choice = choose_engine(folder, this_processor(), settings.face.max_num_seqs)
    told = dict(settings.engine_settings)
    if choice.data_type is not None:
        told.setdefault("data_type", choice.data_type)
    return replace(
        settings, engine=choice.engine, engine_reason=choice.reason, engine_settings=told
    )


def engine_of(settings: CPUSettings, folder: Path, num_threads: int) -> Engine | Embedder:
    """The engine named in the settings; raises ConfigError for what it cannot be told."""
    kind = find_class(settings.engine, KNOWN)
    told = embedder_settings if embeds(kind) else engine_settings
    engine: Engine | Embedder = kind(told(settings, folder, num_threads))
    return engine


def engine_settings(settings: CPUSettings, folder: Path, num_threads: int) -> EngineSettings:
    """What an engine that generates is told."""
    return EngineSettings(
        model_source=folder,
        max_num_seqs=settings.face.max_num_seqs,
        num_threads=num_threads,
        **settings.engine_settings,
    )


def embedder_settings(settings: CPUSettings, folder: Path, num_threads: int) -> EmbedderSettings:
    """What an engine that embeds is told; ConfigError for what means nothing to it."""
    meaningless = {
        "kv_cache_bytes": settings.engine_settings.get("kv_cache_bytes"),
        "max_new_tokens": settings.face.default_max_tokens,
        "temperature": settings.face.default_temperature,
    }
    for name, value in meaningless.items():
        if value is not None:
            raise ConfigError(
                f"{name}: this model embeds texts and generates none; leave {name} out", param=name
            )
    return EmbedderSettings(
        model_source=folder,
        max_num_seqs=settings.face.max_num_seqs,
        num_threads=num_threads,
        **settings.engine_settings,
    )
