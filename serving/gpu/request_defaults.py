"""What the operator says for requests that do not: written into the body before vLLM reads it.

vLLM's own ways differ: its `max_new_tokens` is a limit for everybody, not a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.http.settings import FaceSettings

# Routes with OpenAI's sampling fields, and the names under which they limit an answer.
LIMITS = {
    "/v1/chat/completions": ("max_tokens", "max_completion_tokens"),
    "/v1/completions": ("max_tokens",),
}


def missing_defaults(
    path: str, given: Mapping[str, Any], settings: FaceSettings, max_model_len: int
) -> dict[str, Any]:
    """The fields to add to a request; none where the operator has set no defaults."""
    if path not in LIMITS:
        return {}
    added: dict[str, Any] = {}
    longest, temperature = settings.default_max_tokens, settings.default_temperature
    if longest is not None and all(given.get(name) is None for name in LIMITS[path]):
        added["max_tokens"] = min(longest, max_model_len)  # vLLM cuts it to what the prompt leaves
    if temperature is not None and given.get("temperature") is None:
        added["temperature"] = temperature
    return added
