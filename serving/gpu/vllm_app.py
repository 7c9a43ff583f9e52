"""vLLM's app under our house: what every request passes, and which routes are whose.

Ours: /, /generate, /health, /version, /metrics and /v1/models. vLLM's: what `guard` lets through.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.engine import CAPABILITIES
from serving.errors import EngineDead, ServingError
from serving.gpu.guard import PUBLIC, Guard
from serving.gpu.input_limit import InputLimit
from serving.gpu.legacy_routes import COMPLETIONS, LegacyRoute
from serving.gpu.request_fields import fields_by_path
from serving.gpu.stream_pace import StreamPace
from serving.gpu.vllm_adapter import VLLMEngine
from serving.http.admission import AdmissionGate
from serving.http.auth import ApiKeys
from serving.http.errors import refuse_http
from serving.http.generating import GENERATES
from serving.http.legacy import understand_generate, understand_root
from serving.http.metrics import ERRORS, FaceMetrics, Sink
from serving.http.middleware import middleware
from serving.http.offer import Offer
from serving.http.readiness import Readiness
from serving.http.settings import FaceSettings
from serving.http.status import StatusRoutes
from serving.resources import ReadResources

ENGINE_NAME = "vllm"


class VLLMFace:
    """Speaks HTTP for one vLLM, while it starts too; everything happens on its event loop.

    ::

        face = VLLMFace(FaceSettings(model_id="llama"))
        app = face.asgi_app()            # answers 503 and says why, until:
        face.loading("reading weights")
        face.ready(engine)
    """

    def __init__(
        self,
        settings: FaceSettings,
        *,
        max_input_len: int | None = None,
        keys: ApiKeys | None = None,
        sinks: Sequence[Sink] = (),
        resources: ReadResources | None = None,
    ) -> None:
        """`max_input_len`: tokens of a prompt; None: as many as the model takes. `keys`: None reads
        them from the environment. `sinks` hear of errors beside /metrics.
        """
        self._engine: VLLMEngine | None = None
        self._guard: Guard | None = None
        self._max_input_len = max_input_len
        self._keys = ApiKeys.from_environment(os.environ) if keys is None else keys
        self._offer = Offer(settings, ENGINE_NAME, CAPABILITIES)
        self._readiness = Readiness()
        self._errors = ErrorCount(settings.model_id)
        self._metrics = FaceMetrics(sinks)
        self._resources = resources
        # vLLM holds those that wait, too: see Guard.
        self.gate = AdmissionGate(settings.max_num_seqs + settings.max_queued_requests, 0)
        self.pace = StreamPace(lambda: self.gate.num_running, settings.coalesce_ms)

    def loading(self, what: str) -> None:
        """Answer 503 and say that vLLM is busy with `what`."""
        self._readiness.loading(what)

    def ready(self, engine: VLLMEngine) -> None:
        """Hand requests to `engine` from now on."""
        self._engine = engine
        self._guard = self._made_guard(engine)
        self._readiness.ready()

    def failed(self, error: Exception) -> None:
        """Answer 503 and say why, also to those who wait: this replica will not recover."""
        self._readiness.failed(error)
        if self._guard is not None and isinstance(error, EngineDead):
            self._guard.end(error)

    @property
    def max_model_len(self) -> int:
        """Tokens of a prompt and its answer."""
        return self._running().max_model_len

    async def check_health(self) -> None:
        """Raise EngineDead if requests can no longer be served."""
        await self._running().check_health()

    def asgi_app(self) -> ASGIApp:
        """The application; may be mounted under any prefix."""
        status = StatusRoutes(
            engine=self,
            offer=lambda: self._offer,
            gate=self.gate,
            readiness=self._readiness,
            exposition=self._exposition,
            resources=self._resources,
            routes=self._routes,
        )
        house = Starlette(
            routes=[*status.app_routes(), *self._legacy_routes()],
            middleware=middleware(
                keys=self._keys,
                loopback_only=self._offer.settings.loopback_only,
                on_error=self._count_error,
            ),
            exception_handlers={404: refuse_http, 405: refuse_http},
        )
        house.router.default = self._to_vllm
        return house

    async def _to_vllm(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._open_guard()(scope, receive, send)

    def _open_guard(self) -> Guard:
        """Raises EngineLoading or EngineDead where nobody stands behind it yet."""
        if self._guard is None:
            self._readiness.check()
            raise AssertionError("ready, but without an engine")
        return self._guard

    def _running(self) -> VLLMEngine:
        assert self._engine is not None  # nobody asks before `ready`
        return self._engine

    def _made_guard(self, engine: VLLMEngine) -> Guard:
        app, fields = engine.app, fields_by_path(engine.routes)
        limit = self._max_input_len
        return Guard(
            app,
            fields=fields,
            input_limit=None if limit is None else InputLimit(app, limit, fields),
            max_model_len=engine.max_model_len,
            parses_chat=engine.parses_chat,
            offer=lambda: self._offer,
            gate=self.gate,
            pace=self.pace,
            readiness=self._readiness,
            check_engine=self._check_engine,
            on_error=self._count_error,
        )

    def _routes(self) -> list[str]:
        """Those of a model that generates, where this vLLM does, and what else it serves."""
        if self._engine is None:
            return list(GENERATES)
        served = fields_by_path(self._engine.routes).keys() & PUBLIC
        ours = list(GENERATES) if COMPLETIONS in served else []
        others = {f"POST {path}" for path in served} - set(ours)
        return [*ours, *sorted(others, key=lambda route: ("/v1/" not in route, route))]

    def _legacy_routes(self) -> list[Route]:
        return [
            Route(path, LegacyRoute(understand, self._open_guard, self._offer), methods=["POST"])
            for path, understand in (("/", understand_root), ("/generate", understand_generate))
        ]

    async def _check_engine(self) -> None:
        try:
            await self.check_health()
        except EngineDead as error:
            self.failed(error)

    def _count_error(self, error: ServingError) -> None:
        self._errors.add(error)
        self._metrics.add(ERRORS, 1, str(error.status))

    def _exposition(self) -> bytes:
        """vLLM's metrics, which live in the process's own registry, and our count of errors."""
        return generate_latest(REGISTRY) + generate_latest(self._errors.registry)


class ErrorCount:
    """The one metric of ours that vLLM does not have, in a registry of its own."""

    def __init__(self, model_name: str) -> None:
        self.registry = CollectorRegistry()
        labels = ["model_name", ERRORS.label or "status"]
        self._counter = Counter(ERRORS.name, ERRORS.help, labels, registry=self.registry)
        self._model_name = model_name

    def add(self, error: ServingError) -> None:
        """Count it under its status."""
        self._counter.labels(self._model_name, str(error.status)).inc()
