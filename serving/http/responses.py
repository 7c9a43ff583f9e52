"""Small JSON answers, and errors as answers."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.responses import Response

from serving.errors import ServingError


def json_response(
    content: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """`content` as JSON.

    ASCII only: a model can write half a surrogate pair, which UTF-8 cannot carry but JSON's
    escapes can.
    """
    body = json.dumps(content, separators=(",", ":")).encode("ascii")
    return Response(body, status, headers, media_type="application/json")


def error_response(error: ServingError) -> Response:
    """OpenAI's error body, with the status and headers the error knows."""
    return json_response(error.body(), error.status, error.headers)
