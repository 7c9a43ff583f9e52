"""vLLM's error answers as ours: the same statuses, OpenAI's types and codes, the field's name."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection
from typing import Any

from serving.errors import (
    ContextTooLong,
    EngineDead,
    InvalidRequest,
    ModelNotFound,
    ServingError,
    UnsupportedField,
)

# vLLM says this in several wordings, all of which hold one of these.
TOO_LONG = re.compile(r"maximum (context|model) length|max_model_len|longer than the maximum")
# vLLM's own note at the end of some sentences.
NOTE = re.compile(r" \(parameter=.*\)$", re.DOTALL)
# An argument of vLLM's command line, which here has another place.
FLAG = re.compile(r"--([a-z][a-z0-9-]+)")
# What vLLM calls by names of its own, and callers by one of these.
CALLERS_NAMES = {
    "input_tokens": ("messages", "prompt", "input"),
    "max_tokens": ("max_completion_tokens", "max_output_tokens"),
    "response_id": ("previous_response_id",),
}
NO_SUCH_MODEL = re.compile(r"model .* does not exist", re.IGNORECASE)


def as_serving_error(status: int, body: bytes, fields: Collection[str] = ()) -> ServingError:
    """The error that an answer of vLLM's with `status` (400 or more) stands for.

    `fields`: what the request held; many of vLLM's sentences speak of one of them where its answer
    names none.
    """
    error = _error_object(body)
    message = _one_line(str(error.get("message") or f"vLLM answered with status {status}."))
    message = FLAG.sub(_engine_kwarg, NOTE.sub("", message))
    param = _param(error.get("param"), fields) or _spoken_of(message, fields)
    if status >= 500:
        return _server_error(status, message, param)
    if status == 404 and NO_SUCH_MODEL.search(message):
        return ModelNotFound(message, param="model")
    if TOO_LONG.search(message):
        return ContextTooLong(message, param=param)
    return InvalidRequest(_with_param(message, param), param=param)


def _error_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    error = value.get("error", value) if isinstance(value, dict) else {}
    return error if isinstance(error, dict) else {}


def _server_error(status: int, message: str, param: str | None) -> ServingError:
    if status == 501:
        return UnsupportedField(message, param=param)
    if status == 503:
        return EngineDead(message)
    return ServingError(message)


def _engine_kwarg(flag: re.Match[str]) -> str:
    return "engine_kwargs." + flag[1].replace("-", "_")


def _param(given: object, fields: Collection[str]) -> str | None:
    """vLLM's path to a field in the caller's words, without the part that says "in the body"."""
    if not isinstance(given, str) or given == "body":
        return None
    name = given.removeprefix("body.")
    callers = () if name in fields else CALLERS_NAMES.get(name, ())
    return next((each for each in callers if each in fields), name)


def _spoken_of(message: str, fields: Collection[str]) -> str | None:
    """The field a sentence begins with, or the only one in it; every other speaks of a model."""
    words: list[str] = re.findall(r"\w+", message)
    if words and words[0] in fields:
        return words[0]
    found = set(words) & set(fields) - {"model"}
    return found.pop() if len(found) == 1 else None


def _with_param(message: str, param: str | None) -> str:
    return message if param is None or param in message else f"{param}: {message}"


def _one_line(message: str) -> str:
    """The first of a list of pydantic's errors, or the message as it is."""
    lines = message.splitlines()
    if len(lines) < 2 or "validation error" not in lines[0]:
        return " ".join(line.strip() for line in lines)
    try:
        detail = ast.literal_eval(lines[1].strip())
    except (ValueError, SyntaxError):
        return lines[1].strip()
    if not isinstance(detail, dict):
        return lines[1].strip()
    return str(detail.get("msg", "")).removeprefix("Value error, ").rstrip(".") + "."
