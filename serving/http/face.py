"""The face of one replica: made before its model is loaded, told when that changes.

::

    face = ReplicaFace(FaceSettings(model_id="llama"), engine, engine_name="onnx")
    app = face.asgi_app()            # answers 503 and says why, until:
    face.loading("reading weights")
    await engine.load()
    face.ready()
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import cast

from starlette.types import ASGIApp

from serving.embedder import Embedder, embeds
from serving.engine import Engine
from serving.errors import ServingError
from serving.http.app import create_app
from serving.http.auth import ApiKeys
from serving.http.embedding import Embedding
from serving.http.generating import Generating
from serving.http.metrics import ERRORS, FaceMetrics, PrometheusSink, Sink
from serving.http.readiness import Readiness
from serving.http.service import Service
from serving.http.settings import FaceSettings
from serving.http.status import StatusRoutes
from serving.resources import CpuUse, ReadResources


class ReplicaFace:
    """Speaks HTTP for one engine. Everything happens on the event loop of its application."""

    def __init__(
        self,
        settings: FaceSettings,
        engine: Engine | Embedder,
        engine_name: str,
        *,
        engine_reason: str = "",
        keys: ApiKeys | None = None,
        sinks: Sequence[Sink] = (),
        resources: ReadResources | None = None,
        cpu: CpuUse | None = None,
    ) -> None:
        """`keys`: None reads them from the environment (ConfigError when they cannot be read).
        `engine_reason` is what /health says of the engine's choice;
        `sinks` get the metrics besides /metrics (`ray_metrics.RaySink`); `resources` are what
        /version tells of them, and `cpu` what /health tells of this replica's.
        """
        self._resources = resources
        self._cpu = cpu
        self._engine_reason = engine_reason
        self.settings = settings
        self._engine = engine
        self._keys = ApiKeys.from_environment(os.environ) if keys is None else keys
        self._prometheus = PrometheusSink(settings.model_id)
        self._metrics = FaceMetrics([self._prometheus, *sinks])
        self._readiness = Readiness()
        self._service = service(engine, settings, engine_name, self._metrics)

    def loading(self, what: str) -> None:
        """Answer 503 and say that the replica is busy with `what`."""
        self._readiness.loading(what)

    def ready(self) -> None:
        """Answer requests from now on; the engine must be loaded."""
        self._readiness.ready()

    def failed(self, error: Exception) -> None:
        """Answer 503 and say why: this replica will not recover."""
        self._readiness.failed(error)

    @property
    def num_running(self) -> int:
        """Requests the engine works on."""
        return self._service.gate.num_running

    @property
    def num_waiting(self) -> int:
        """Requests that wait for their turn."""
        return self._service.gate.num_waiting

    def report_load(self) -> None:
        """Bring the gauges up to date between requests, for sinks that /metrics does not read."""
        if self._readiness.status == "ready":
            self._service.report_load()

    def asgi_app(self) -> ASGIApp:
        """The application; may be mounted under any prefix."""
        status = StatusRoutes(
            engine=self._engine,
            offer=self._service.offer,
            gate=self._service.gate,
            readiness=self._readiness,
            exposition=self._exposition,
            resources=self._resources,
            routes=lambda: self._service.listed,
            cpu=self._cpu,
            engine_reason=self._engine_reason,
        )
        return create_app(
            [*status.app_routes(), *self._service.routes(self._readiness, self._count_error)],
            keys=self._keys,
            loopback_only=self.settings.loopback_only,
            on_error=self._count_error,
        )

    def _count_error(self, error: ServingError) -> None:
        self._metrics.add(ERRORS, 1, str(error.status))

    def _exposition(self) -> bytes:
        self.report_load()
        return self._prometheus.exposition()


def service(
    engine: Engine | Embedder, settings: FaceSettings, engine_name: str, metrics: FaceMetrics
) -> Service:
    """What this engine can do for callers."""
    if embeds(engine):
        return Embedding(engine, settings, engine_name, metrics)
    return Generating(cast(Engine, engine), settings, engine_name, metrics)
