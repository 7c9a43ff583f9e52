"""POST /v1/chat/completions: what it understands and how it answers."""

from __future__ import annotations

import json
from typing import Any

from serving.http.answer import OpenAIStream, Usage
from serving.http.collect import Choice, Collected
from serving.http.job import Job
from serving.http.logprobs import chat_logprobs
from serving.http.merge import Batch
from serving.http.offer import Offer
from serving.http.protocol import ChatBody
from serving.types import Chunk


def understand_chat(given: dict[str, Any], offer: Offer) -> tuple[Job, ChatAnswer]:
    """The work and the shape of the answer; raises InvalidRequest and its kind.

    Without a limit of its own a chat goes on until the deployment's `default_max_tokens`, or as
    far as the model's context reaches.
    """
    body = ChatBody.parse(given)
    offer.check(body)
    body.check_stream_options()
    sampling = body.sampling(
        max_tokens=body.token_limit(),
        default_max_tokens=offer.settings.default_max_tokens,
        default_temperature=offer.temperature(),
        logprobs=body.num_logprobs(),
    )
    messages = tuple(message.message() for message in body.messages)
    return Job((messages,), sampling, body.n), ChatAnswer(body, offer.settings.model_id)


class ChatAnswer(OpenAIStream):
    """A chat completion, whole or in chunks."""

    def __init__(self, body: ChatBody, model: str) -> None:
        super().__init__(
            prefix="chatcmpl",
            kind="chat.completion.chunk",
            model=model,
            streams=body.stream,
            include_usage=body.stream_options.include_usage,
        )
        self._n = body.n

    def opening(self) -> str:
        """Each choice begins with its role."""
        delta = '{"role":"assistant","content":""}'
        return "".join([self._event(index, delta, "null", "null") for index in range(self._n)])

    def pieces(self, batch: Batch) -> str:
        """An event for each chunk that says something."""
        return "".join([self._chunk(index, chunk) for index, chunk in batch])

    def whole(self, collected: Collected, usage: Usage) -> dict[str, object]:
        """The chat.completion object."""
        choices: list[object] = [_choice(choice) for choice in collected.choices]
        return self.envelope("chat.completion", choices, usage)

    def _chunk(self, index: int, chunk: Chunk) -> str:
        events = ""
        if chunk.text or chunk.logprobs:
            logprobs = json.dumps(chat_logprobs(chunk.logprobs)) if chunk.logprobs else "null"
            delta = f'{{"content":{json.dumps(chunk.text)}}}'
            events = self._event(index, delta, logprobs, "null")
        if chunk.finish_reason:
            events += self._event(index, "{}", "null", f'"{chunk.finish_reason}"')
        return events

    def _event(self, index: int, delta: str, logprobs: str, finish_reason: str) -> str:
        return (
            f'{self._head}{index},"delta":{delta},"logprobs":{logprobs},'
            f'"finish_reason":{finish_reason}{self._tail}'
        )


def _choice(choice: Choice) -> dict[str, object]:
    return {
        "index": choice.index,
        "message": {"role": "assistant", "content": choice.text, "refusal": None},
        "logprobs": chat_logprobs(choice.logprobs) if choice.logprobs else None,
        "finish_reason": choice.finish_reason,
    }
