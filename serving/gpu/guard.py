"""What stands before vLLM's routes: unknown fields, wrong models and too many requests stay out."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import InvalidRequest, ServingError
from serving.gpu.coalesce import gathering
from serving.gpu.input_limit import InputLimit
from serving.gpu.passage import Passage
from serving.gpu.request_defaults import missing_defaults
from serving.gpu.request_fields import refuse_unknown
from serving.gpu.stream_pace import FIELD, StreamPace, may_share_events
from serving.http.admission import AdmissionGate
from serving.http.body import read_object
from serving.http.errors import MethodNotAllowed, NoSuchRoute
from serving.http.offer import Offer
from serving.http.protocol import MAX_N
from serving.http.readiness import Readiness
from serving.http.settings import FaceSettings

# Routes that make the model work, and how the field is called that holds one prompt or several.
GENERATING = {
    "/v1/chat/completions": None,
    "/v1/completions": "prompt",
    "/v1/responses": None,
    "/v1/messages": None,
    "/v1/embeddings": "input",
    "/v1/rerank": "documents",
    "/v1/score": None,
    "/pooling": "input",
    "/classify": "input",
    "/score": None,
    "/rerank": "documents",
}
ANSWERING = frozenset({"/tokenize", "/detokenize", "/v1/messages/count_tokens"})
# vLLM's routes for administrators and for other servers (scaling, rendering, raw tokens) have no
# place in a replica that callers reach.
PUBLIC = GENERATING.keys() | ANSWERING


class Guard:
    """vLLM's app for callers; an ASGI app itself.

    Every request that is let in is handed to vLLM at once: its scheduler knows better than a line
    of ours which to run next. The gate bounds how many it holds, running and waiting together.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        fields: Mapping[str, frozenset[str]],
        input_limit: InputLimit | None,
        max_model_len: int,
        parses_chat: bool,
        offer: Callable[[], Offer],
        gate: AdmissionGate,
        pace: StreamPace,
        readiness: Readiness,
        check_engine: Callable[[], Awaitable[None]],
        on_error: Callable[[ServingError], None],
    ) -> None:
        """`fields`: those each route knows; `parses_chat`: whether vLLM looks for tool calls or
        reasoning in what a chat model says; `check_engine` hears of errors that may be its death;
        `on_error` of errors that can only end a stream.
        """
        self._app = app
        self._fields = fields
        self._input_limit = input_limit
        self.max_model_len = max_model_len
        self._parses_chat = parses_chat
        self._offer = offer
        self._gate = gate
        self._pace = pace
        self._readiness = readiness
        self._check_engine = check_engine
        self._on_error = on_error
        self._passages: set[Passage] = set()

    def end(self, error: ServingError) -> None:
        """End every request that vLLM is answering with this error; vLLM has died."""
        for passage in list(self._passages):
            passage.end(error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; what goes wrong before the answer has begun is raised."""
        path = route_path(scope)
        if scope["type"] != "http" or not self.serves(path):
            raise NoSuchRoute(
                f"There is no route {scope.get('method', '')} {path}; GET / lists them."
            )
        check_method(scope, path)
        self._readiness.check()
        recorded = Recorded(receive)
        given = await read_object(scope, recorded, self.settings.max_body_bytes)
        refuse_unknown(given, self._fields[path])
        self._offer().check_model(given.get("model"))
        added = missing_defaults(path, given, self.settings, self.max_model_len)
        asked = self.paced(path, {**given, **added})
        body = recorded.body() if asked == given else json.dumps(asked).encode()
        await self.forward(asked, body, scope, receive, send)

    def serves(self, path: str) -> bool:
        """Whether this model has the route: one that embeds does not generate, and vice versa."""
        return path in PUBLIC and path in self._fields

    @property
    def settings(self) -> FaceSettings:
        """Names and limits."""
        return self._offer().settings

    def paced(self, path: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """`given`, and how many tokens an event should carry where that is ours to say."""
        if not may_share_events(path, given, self._fields[path], parses_chat=self._parses_chat):
            return given
        interval = self._pace.stream_interval()
        return given if interval == 1 else {**given, FIELD: interval}

    async def forward(
        self, given: Mapping[str, Any], body: bytes, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Let vLLM answer `body`, which holds `given`, when there is room for its sequences."""
        window_s = self._pace.window_s(decided=given.get(FIELD) is not None)
        try:
            with gathering(send, window_s) as gathered:
                passage = Passage(
                    receive,
                    gathered,
                    body,
                    limit_s=self.settings.request_timeout_s,
                    fields=given.keys(),
                    on_error=self._on_error,
                )
                await self._pass(passage, given, scope)
        except ServingError as error:
            if error.status >= 500:
                await self._check_engine()
                self._readiness.check()  # whatever it was, a dead engine is the better answer
            raise

    async def _pass(self, passage: Passage, given: Mapping[str, Any], scope: Scope) -> None:
        path = route_path(scope)
        if path not in GENERATING:
            await self._run(passage, scope)
            return
        async with self._gate.admit(num_sequences(path, given)):
            if self._input_limit is not None:
                await self._input_limit.check(path, given, scope)
            await self._run(passage, scope)

    async def _run(self, passage: Passage, scope: Scope) -> None:
        self._passages.add(passage)
        try:
            await passage.run(self._app, scope)
        finally:
            self._passages.discard(passage)


def check_method(scope: Scope, path: str) -> None:
    """Raise MethodNotAllowed unless the request is a POST."""
    if scope["method"] != "POST":
        raise MethodNotAllowed(
            f"{scope['method']} {path} is not possible; this path takes POST.", allow="POST"
        )


def route_path(scope: Scope) -> str:
    """The path as the routes know it, without the prefix the application is mounted under."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


class Recorded:
    """A request's messages, kept so that its body can be read once more."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._pieces: list[bytes] = []

    async def __call__(self) -> Message:
        """The next message."""
        message = await self._receive()
        self._pieces.append(message.get("body", b""))
        return message

    def body(self) -> bytes:
        """All of it that has come."""
        return b"".join(self._pieces)


def num_sequences(path: str, given: Mapping[str, Any]) -> int:
    """How many sequences a request wants to run; InvalidRequest when they are absurdly many."""
    n = given.get("n")
    per_prompt = n if isinstance(n, int) and n > 0 else 1
    if per_prompt > MAX_N:
        raise InvalidRequest(f"n: {n} is more than {MAX_N}.", param="n")
    field = GENERATING[path]
    return per_prompt * (_num_prompts(given.get(field)) if field else 1)


def _num_prompts(prompt: Any) -> int:
    """Several texts, or several lists of token ids; one list of ids is one prompt."""
    if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
        return len(prompt)
    return 1
