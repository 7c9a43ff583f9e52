"""Reads a request's body: bounded, JSON, an object."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from starlette.types import Receive, Scope

from serving.errors import BodyTooLarge, ClientGone, InvalidRequest


async def read_object(scope: Scope, receive: Receive, max_bytes: int) -> dict[str, Any]:
    """The JSON object that the body holds.

    Raises BodyTooLarge as soon as more than `max_bytes` are announced or have come, InvalidRequest
    when it is no JSON object, ClientGone.
    """
    return parse_object(await _read(scope, receive, max_bytes))


async def _read(scope: Scope, receive: Receive, max_bytes: int) -> bytes:
    announced = dict(scope["headers"]).get(b"content-length", b"")
    if announced.isdigit() and int(announced) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone("The client went away while it sent its request.")
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
        more = message.get("more_body", False)
    return bytes(body)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {max_bytes} bytes; send a shorter request.")


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`; InvalidRequest says where it goes wrong."""
    try:
        value = json.loads(body.decode(), parse_constant=_refuse_constant)
        if b"\\u" in body:
            _refuse_half_characters(value)
    except json.JSONDecodeError as error:
        raise InvalidRequest(
            f"The body is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from error
    except RecursionError as error:
        raise InvalidRequest("The body is not valid JSON: it is nested too deeply.") from error
    except ValueError as error:  # not Unicode, NaN, a number of thousands of digits
        raise InvalidRequest(f"The body is not valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return value


def _refuse_half_characters(value: object) -> None:
    """JSON's escapes can write half a surrogate pair, which no tokenizer can read."""
    json.dumps(value, ensure_ascii=False).encode()


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")
