"""What a replica does for those who call it, as far as its face must know: generate, or embed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn, Protocol

from starlette.requests import Request
from starlette.routing import Route

from serving.errors import ServingError
from serving.http.admission import AdmissionGate
from serving.http.errors import NoSuchRoute
from serving.http.offer import Offer
from serving.http.readiness import Readiness


class Service(Protocol):
    """One engine at work for callers."""

    gate: AdmissionGate
    listed: Sequence[str]  # its routes as GET / lists them; the first is the one to try

    def offer(self) -> Offer:
        """What requests may ask for; some abilities are known only after loading."""

    def report_load(self) -> None:
        """Bring the gauges up to date; the engine must be loaded."""

    def routes(self, readiness: Readiness, on_error: Callable[[ServingError], None]) -> list[Route]:
        """Where it answers; `on_error` hears of errors that can only end a stream."""


def refuse(paths: Iterable[str], why: str) -> list[Route]:
    """Routes that only other kinds of models have; POST to them is answered with `why`."""

    async def endpoint(request: Request) -> NoReturn:
        raise NoSuchRoute(why, param="model")

    return [Route(path, endpoint, methods=["POST"]) for path in paths]
