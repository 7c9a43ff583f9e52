"""CPUDeployment: one model on one node's CPUs, as a Ray Serve deployment.

A plain class; the builder decorates it with `serve.ingress()`, whose late-bound application comes
from `__serve_build_asgi_app__`. Ray calls every method here on the replica's one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from serving.engine import Engine, create_engine
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
    engine_settings: Mapping[str, Any] = field(default_factory=dict)  # of EngineSettings
    num_threads: int | None = None  # None: as many CPUs as Ray gave the replica
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
        from serving.http.ray_metrics import RaySink  # Ray is sure to be here, in its replica
        from serving.serve_resources import all_replicas

        be_an_engine()
        self._engine = await self._create_engine(settings)
        self._face = ReplicaFace(
            with_proxy(settings.face),
            self._engine,
            settings.engine,
            sinks=[RaySink(settings.face.model_id)],
            resources=all_replicas(num_threads(settings)),
        )
        self._face.loading("reading weights")
        try:
            await self._engine.load()
        except Exception as error:
            self._face.failed(error)
            raise
        self._face.ready()
        logger.info("%s answers, engine %s", settings.face.model_id, settings.engine)

    async def _create_engine(self, settings: CPUSettings) -> Engine:
        token = settings.hf_token or os.environ.get("HF_TOKEN")
        folder = Path(settings.model_name)
        if settings.engine not in NEED_NO_FILES:
            folder = await asyncio.to_thread(partial(fetch_model, settings.model_name, token=token))
        return create_engine(settings.engine, engine_settings(settings, folder))

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return ServeApp(self._face.asgi_app(), self._engine.unload)

    async def check_health(self) -> None:
        """Raise EngineDead when Serve should replace this replica."""
        try:
            await self._engine.check_health()
        except Exception as error:
            self._face.failed(error)
            raise


def num_threads(settings: CPUSettings) -> int:
    """Ray sets OMP_NUM_THREADS to the CPUs it gave the replica."""
    return settings.num_threads or int(os.environ.get("OMP_NUM_THREADS", "1"))


def engine_settings(settings: CPUSettings, folder: Path) -> EngineSettings:
    """What the engine is told."""
    return EngineSettings(
        model_source=folder,
        max_num_seqs=settings.face.max_num_seqs,
        num_threads=num_threads(settings),
        **settings.engine_settings,
    )
