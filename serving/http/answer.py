"""How a route words what the engine produced: as a stream of pieces, or as a whole."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Protocol

from serving.errors import ServingError
from serving.http.collect import Collected
from serving.http.merge import Batch

Usage = Mapping[str, int]


class Answer(Protocol):
    """One answer in one route's shape; holds what a stream must remember between its pieces."""

    streams: bool  # whether the client asked for a stream
    media_type: str  # of the stream

    def opening(self) -> str:
        """What a stream begins with; sent together with the first piece."""

    def pieces(self, batch: Batch) -> str:
        """What the client is told of this batch; may be nothing."""

    def closing(self, usage: Usage) -> str:
        """What a stream ends with."""

    def failure(self, error: ServingError) -> str:
        """What a stream that has begun ends with when something goes wrong."""

    def whole(self, collected: Collected, usage: Usage) -> dict[str, object]:
        """The answer without a stream."""


class OpenAIStream:
    """What all of OpenAI's streams share: server-sent events of one shape.

    The hot path: each event is three strings joined around what differs. Only that is encoded.
    """

    media_type = "text/event-stream; charset=utf-8"

    def __init__(
        self, *, prefix: str, kind: str, model: str, streams: bool, include_usage: bool
    ) -> None:
        self.streams = streams
        self._include_usage = include_usage
        self._shared = {
            "id": f"{prefix}-{uuid.uuid4().hex}",
            "object": kind,
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": None,
        }
        head = json.dumps(self._shared, separators=(",", ":")).removesuffix("}")
        self._head = f'data: {head},"choices":[{{"index":'
        self._tail = '}],"usage":null}\n\n' if include_usage else "}]}\n\n"

    def closing(self, usage: Usage) -> str:
        """The usage, for those who asked for it, and OpenAI's end mark."""
        if not self._include_usage:
            return "data: [DONE]\n\n"
        event = json.dumps({**self._shared, "choices": [], "usage": usage}, separators=(",", ":"))
        return f"data: {event}\n\ndata: [DONE]\n\n"

    def failure(self, error: ServingError) -> str:
        """The error as an event, as OpenAI and vLLM send it; no end mark follows."""
        return f"data: {json.dumps(error.body())}\n\n"

    def envelope(self, kind: str, choices: list[object], usage: Usage) -> dict[str, object]:
        """A whole answer around its choices."""
        return {**self._shared, "object": kind, "choices": choices, "usage": usage}
