"""The service of an engine that embeds: one route, and the life of a request to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from serving.embedder import Embedder, Embeddings, EmbedRequest
from serving.errors import EngineDead, ServingError
from serving.http.account import Account
from serving.http.admission import AdmissionGate
from serving.http.body import read_object
from serving.http.client_watch import ClientWatch, time_limit
from serving.http.embeddings import understand_embeddings
from serving.http.generating import ROUTES
from serving.http.metrics import FaceMetrics
from serving.http.offer import Offer
from serving.http.readiness import Readiness
from serving.http.service import refuse
from serving.http.settings import FaceSettings

EMBEDDINGS = "/v1/embeddings"


class Embedding:
    """See `serving.http.service.Service`."""

    listed: Sequence[str] = (f"POST {EMBEDDINGS}",)

    def __init__(
        self, embedder: Embedder, settings: FaceSettings, engine_name: str, metrics: FaceMetrics
    ) -> None:
        self._embedder = embedder
        self._settings = settings
        self._engine_name = engine_name
        self._metrics = metrics
        # All that are accepted share the model in turns: one that waited out here would wait for
        # the end of those before it, however many texts they bring.
        self.gate = AdmissionGate(settings.max_num_seqs + settings.max_queued_requests, 0)

    def offer(self) -> Offer:
        return Offer(self._settings, self._engine_name, capabilities=())

    def report_load(self) -> None:
        occupancy = self._embedder.occupancy()
        self._metrics.busy(self.gate.num_running, self.gate.num_waiting, occupancy)

    def routes(self, readiness: Readiness, on_error: Callable[[ServingError], None]) -> list[Route]:
        why = (
            f"'{self._settings.model_id}' embeds texts and generates none; use {EMBEDDINGS}, or a "
            "model that generates."
        )
        endpoint = EmbeddingEndpoint(self, readiness)
        return [Route(EMBEDDINGS, endpoint, methods=["POST"]), *refuse(ROUTES, why)]

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; what goes wrong is raised before the answer has begun."""
        given = await read_object(scope, receive, self._settings.max_body_bytes)
        request, answer = understand_embeddings(given, self.offer(), self._embedder.max_model_len)
        account = Account(scope["request_id"], len(request.inputs), self._metrics)
        embeddings = await self._embed(request, account, receive)
        await answer.response(embeddings, account.prompt_usage())(scope, receive, send)

    async def _embed(self, request: EmbedRequest, account: Account, receive: Receive) -> Embeddings:
        """Raises QueueFull, RequestTimeout, ClientGone, and what the embedder raises."""
        async with (
            time_limit(self._settings.request_timeout_s),
            ClientWatch(receive),
            self.gate.admit(1),
        ):
            self.report_load()
            try:
                embeddings = await self._embedder.embed(request)
                account.embedded(embeddings)
                return embeddings
            finally:
                account.close()
                self.report_load()


class EmbeddingEndpoint:
    """The route as an ASGI application; if the embedder dies, the replica is dead from then on."""

    def __init__(self, service: Embedding, readiness: Readiness) -> None:
        self._service = service
        self._readiness = readiness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        self._readiness.check()
        try:
            await self._service.answer(scope, receive, send)
        except EngineDead as error:
            self._readiness.failed(error)
            raise
