"""POST /generate and POST / on vLLM's completions: what `serving.http.legacy` understands, asked
in OpenAI's words, and vLLM's answer in the older shapes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from serving.gpu.guard import Guard
from serving.http.answer import Answer
from serving.http.body import read_object
from serving.http.collect import Choice, Collected
from serving.http.errors import NoSuchRoute
from serving.http.generation import Understand
from serving.http.job import Job
from serving.http.offer import Offer
from serving.http.responses import json_response
from serving.types import Chunk, SamplingParams

COMPLETIONS = "/v1/completions"
# What both sides call by the same name; the rest of a SamplingParams belongs to other engines.
SAME_WORDS = (
    "min_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty",
    "frequency_penalty", "repetition_penalty", "stop_token_ids", "include_stop_str_in_output",
    "ignore_eos", "skip_special_tokens",
)  # fmt: skip


class LegacyRoute:
    """One of the two routes, as an ASGI application."""

    def __init__(self, understand: Understand, guard: Callable[[], Guard], offer: Offer) -> None:
        """`guard` is who lets requests to vLLM; raises while there is nobody behind it."""
        self._understand = understand
        self._guard = guard
        self._offer = offer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; what goes wrong before the answer has begun is raised."""
        guard = self._guard()
        if not guard.serves(COMPLETIONS):
            raise NoSuchRoute("This model generates no text; GET / lists its routes.")
        given = await read_object(scope, receive, self._offer.settings.max_body_bytes)
        job, answer = self._understand(given, self._offer)
        name = self._offer.settings.model_id
        told = completion_body(job, name, guard.max_model_len, stream=answer.streams)
        asked = guard.paced(COMPLETIONS, told)
        body = json.dumps(asked).encode()
        reply = Reply(answer, send)
        await guard.forward(asked, body, completion_scope(scope), receive, reply.take)
        if not answer.streams:
            response = json_response(answer.whole(reply.collected(), {}))
            await response(scope, receive, send)


def completion_body(job: Job, model: str, max_model_len: int, *, stream: bool) -> dict[str, Any]:
    """The job in the words of /v1/completions; a default is cut to what the model can take."""
    sampling: SamplingParams = job.sampling
    default = min(sampling.default_max_tokens or max_model_len, max_model_len)
    return {
        "model": model,
        "prompt": job.prompts[0],
        "n": job.n,
        "stream": stream,
        "max_tokens": sampling.max_tokens or default,
        "stop": list(sampling.stop),
        "logit_bias": {str(token): bias for token, bias in sampling.logit_bias.items()} or None,
        **{name: getattr(sampling, name) for name in SAME_WORDS},
    }


def completion_scope(scope: Scope) -> Scope:
    """The request's scope, as if it had come to /v1/completions."""
    path = scope.get("root_path", "") + COMPLETIONS
    return {**scope, "path": path, "raw_path": path.encode()}


class Reply:
    """vLLM's answer, told again: events one by one as they come, or kept until it is whole."""

    def __init__(self, answer: Answer, send: Send) -> None:
        self._answer = answer
        self._send = send
        self._rest = b""

    async def take(self, message: Message) -> None:
        """The next message of vLLM's answer."""
        if message["type"] == "http.response.start":
            await self._start(message)
        elif not self._answer.streams:
            self._rest += message.get("body", b"")
        else:
            await self._pass_on(message)

    async def _start(self, message: Message) -> None:
        if self._answer.streams:
            media_type = self._answer.media_type.encode()
            await self._send({**message, "headers": [(b"content-type", media_type)]})

    async def _pass_on(self, message: Message) -> None:
        more = message.get("more_body", False)
        *events, self._rest = (self._rest + message.get("body", b"")).split(b"\n\n")
        text = "".join([self._line(event) for event in events])
        if text or not more:
            body = text.encode("ascii")
            await self._send({"type": "http.response.body", "body": body, "more_body": more})

    def _line(self, event: bytes) -> str:
        data = event.removeprefix(b"data: ")
        if data == b"[DONE]":
            return ""
        value = json.loads(data)
        if "error" in value:
            return json.dumps(value) + "\n"
        return self._answer.pieces(
            [(choice["index"], Chunk(text=choice["text"])) for choice in value["choices"]]
        )

    def collected(self) -> Collected:
        """The whole answer's choices."""
        choices = json.loads(self._rest)["choices"]
        return Collected([Choice(each["index"], [each["text"]]) for each in choices], {})
