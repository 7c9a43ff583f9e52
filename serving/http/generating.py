"""The service of an engine that generates: chat, completions and the older shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.routing import Route

from serving.engine import Engine
from serving.errors import ServingError
from serving.http.chat import understand_chat
from serving.http.completions import understand_completion
from serving.http.generation import GenerationEndpoint, Understand
from serving.http.job import JobRunner
from serving.http.legacy import understand_generate, understand_root
from serving.http.metrics import FaceMetrics
from serving.http.offer import Offer
from serving.http.readiness import Readiness
from serving.http.service import refuse
from serving.http.settings import FaceSettings

ROUTES: dict[str, Understand] = {
    "/v1/chat/completions": understand_chat,
    "/v1/completions": understand_completion,
    "/generate": understand_generate,
    "/": understand_root,
}
GENERATES = tuple(f"POST {path}" for path in ROUTES)


class Generating:
    """See `serving.http.service.Service`."""

    listed: Sequence[str] = GENERATES

    def __init__(
        self, engine: Engine, settings: FaceSettings, engine_name: str, metrics: FaceMetrics
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._engine_name = engine_name
        self._runner = JobRunner(engine, settings, metrics)
        self.gate = self._runner.gate

    def offer(self) -> Offer:
        return Offer(self._settings, self._engine_name, self._engine.capabilities)

    def report_load(self) -> None:
        self._runner.report_load()

    def routes(self, readiness: Readiness, on_error: Callable[[ServingError], None]) -> list[Route]:
        def endpoint(understand: Understand) -> GenerationEndpoint:
            return GenerationEndpoint(
                understand,
                offer=self.offer,
                runner=self._runner,
                readiness=readiness,
                max_body_bytes=self._settings.max_body_bytes,
                on_error=on_error,
            )

        why = (
            f"'{self._settings.model_id}' generates text and has no embeddings; use "
            "/v1/chat/completions, or a model that embeds."
        )
        return [
            *(Route(path, endpoint(each), methods=["POST"]) for path, each in ROUTES.items()),
            *refuse(["/v1/embeddings"], why),
        ]
