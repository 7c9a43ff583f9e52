"""`max_input_len`: prompts of more tokens are refused, though the model could take them.

vLLM has no such limit. Where the operator sets one, vLLM's own routes count a prompt's tokens
before it runs; where none is set this costs nothing. Lists of token ids need no counting.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Scope

from serving.errors import ContextTooLong, InvalidRequest
from serving.gpu.passage import as_json_request
from serving.gpu.vllm_errors import as_serving_error

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
# Routes with prompts that are texts or token ids, and the field that holds them.
PROMPTS = {
    "/v1/completions": "prompt",
    "/v1/embeddings": "input",
    "/pooling": "input",
    "/classify": "input",
}
TOKENIZE = "/tokenize"
COUNT_MESSAGES = "/v1/messages/count_tokens"


class InputLimit:
    """Checks requests against a number of tokens."""

    def __init__(
        self, app: ASGIApp, max_input_len: int, fields: Mapping[str, frozenset[str]]
    ) -> None:
        """`fields`: those that each of the app's routes knows."""
        self._app = app
        self._max_input_len = max_input_len
        self._fields = fields

    async def check(self, path: str, given: Mapping[str, Any], scope: Scope) -> None:
        """Raises ContextTooLong, or what vLLM says of a prompt that it cannot count."""
        for num_tokens, field in await self._count(path, given, scope):
            if num_tokens > self._max_input_len:
                raise ContextTooLong(
                    f"{field}: it has {num_tokens} tokens; this model takes {self._max_input_len} "
                    "at most (max_input_len).",
                    param=field,
                )

    async def _count(
        self, path: str, given: Mapping[str, Any], scope: Scope
    ) -> list[tuple[int, str]]:
        if path == CHAT:
            return [(await self._ask(TOKENIZE, given, scope, "count"), "messages")]
        if path == MESSAGES:
            return [(await self._ask(COUNT_MESSAGES, given, scope, "input_tokens"), "messages")]
        if path in PROMPTS:
            field = PROMPTS[path]
            return [
                (await self._count_prompt(prompt, given, scope), field)
                for prompt in each_prompt(given.get(field))
            ]
        instead = next(route for route in (CHAT, *PROMPTS) if route in self._fields)
        raise InvalidRequest(
            f"{path} cannot count its prompt, and this model limits prompts to "
            f"{self._max_input_len} tokens (max_input_len); use {instead}."
        )

    async def _count_prompt(
        self, prompt: str | list[int], given: Mapping[str, Any], scope: Scope
    ) -> int:
        if isinstance(prompt, list):
            return len(prompt)
        return await self._ask(TOKENIZE, {**given, "prompt": prompt}, scope, "count")

    async def _ask(self, path: str, given: Mapping[str, Any], scope: Scope, answer: str) -> int:
        """The number that vLLM's route `path` answers, asked with those fields it knows."""
        known = {name: given[name] for name in given.keys() & self._fields[path]}
        status, body = await call(self._app, path, known, scope)
        if status >= 400:
            raise as_serving_error(status, body, given.keys())
        return int(json.loads(body)[answer])


def each_prompt(prompt: Any) -> list[str | list[int]]:
    """One text, texts, one list of token ids or several; what is none of these vLLM refuses."""
    if isinstance(prompt, str):
        return [prompt]
    if not isinstance(prompt, list) or not prompt:
        return []
    if all(isinstance(item, int) for item in prompt):
        return [prompt]
    return [item for item in prompt if isinstance(item, str | list)]


async def call(app: ASGIApp, path: str, body: Mapping[str, Any], scope: Scope) -> tuple[int, bytes]:
    """POST `body` to a route of `app` within the process: the status and the body it answers."""
    status, answer = 500, bytearray()
    asked = iter([json.dumps(body).encode()])

    async def receive() -> Message:
        for piece in asked:
            return {"type": "http.request", "body": piece, "more_body": False}
        await asyncio.Event().wait()  # nobody leaves
        raise AssertionError

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        answer.extend(message.get("body", b""))

    path = scope.get("root_path", "") + path
    inner = {**as_json_request(scope), "path": path, "raw_path": path.encode()}
    await app(inner, receive, send)
    return status, bytes(answer)
