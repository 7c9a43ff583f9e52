"""POST /v1/completions: what it understands and how it answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from serving.http.answer import OpenAIStream, Usage
from serving.http.collect import Choice, Collected
from serving.http.job import Job
from serving.http.logprobs import completion_logprobs
from serving.http.merge import Batch
from serving.http.offer import Offer
from serving.http.prompts import as_texts
from serving.http.protocol import CompletionBody
from serving.types import Chunk, FinishReason, PromptInfo, TokenLogprob

OPENAI_MAX_TOKENS = 16


def understand_completion(given: dict[str, Any], offer: Offer) -> tuple[Job, CompletionAnswer]:
    """The work and the shape of the answer; raises InvalidRequest and its kind.

    Without `max_tokens` the deployment's `default_max_tokens` holds, and without that OpenAI's 16.
    """
    body = CompletionBody.parse(given)
    prompts = as_texts(body.prompt, offer.settings.max_prompts, "prompt")
    offer.check(body)
    body.check_stream_options()
    scores_prompt = body.echo and body.logprobs is not None
    if scores_prompt:
        offer.require("prompt_logprobs", "echo")
    sampling = body.sampling(
        max_tokens=body.max_tokens,
        default_max_tokens=offer.settings.default_max_tokens or OPENAI_MAX_TOKENS,
        default_temperature=offer.temperature(),
        logprobs=body.logprobs,
        prompt_logprobs=scores_prompt,
    )
    return Job(prompts, sampling, body.n), CompletionAnswer(body, offer.settings.model_id)


class CompletionAnswer(OpenAIStream):
    """A text completion, whole or in chunks of the same object."""

    def __init__(self, body: CompletionBody, model: str) -> None:
        super().__init__(
            prefix="cmpl",
            kind="text_completion",
            model=model,
            streams=body.stream,
            include_usage=body.stream_options.include_usage,
        )
        self._n = body.n
        self._echo = body.echo
        self._logprobs = body.logprobs is not None
        self._offsets: dict[int, int] = {}  # of each choice: how long its text is so far

    def opening(self) -> str:
        """Nothing comes before the first text."""
        return ""

    def pieces(self, batch: Batch) -> str:
        """An event for each chunk that says something; an echoed prompt comes first."""
        return "".join([self._chunk(index, chunk) for index, chunk in batch])

    def whole(self, collected: Collected, usage: Usage) -> dict[str, object]:
        """The text_completion object."""
        choices: list[object] = [
            self._choice(choice, collected.prompts.get(choice.index // self._n))
            for choice in collected.choices
        ]
        return self.envelope("text_completion", choices, usage)

    def _chunk(self, index: int, chunk: Chunk) -> str:
        event = ""
        if self._echo and chunk.prompt is not None:
            event = self._echoed(index, chunk.prompt)
        if chunk.text or chunk.logprobs or chunk.finish_reason:
            event += self._event(index, chunk.text, chunk.logprobs, chunk.finish_reason)
        return event

    def _echoed(self, index: int, prompt: PromptInfo) -> str:
        """The prompt, for each of its choices: only the first of them brings it."""
        first = index - index % self._n
        choices = range(first, first + self._n)
        return "".join([self._event(at, prompt.text, prompt.logprobs, None) for at in choices])

    def _event(
        self,
        index: int,
        text: str,
        tokens: Sequence[TokenLogprob] | None,
        finish_reason: FinishReason | None,
    ) -> str:
        logprobs = "null"
        if self._logprobs:
            offset = self._offsets.get(index, 0)
            self._offsets[index] = offset + len(text)
            logprobs = json.dumps(completion_logprobs(tokens or (), offset))
        reason = f'"{finish_reason}"' if finish_reason else "null"
        return (
            f'{self._head}{index},"text":{json.dumps(text)},"logprobs":{logprobs},'
            f'"finish_reason":{reason}{self._tail}'
        )

    def _choice(self, choice: Choice, prompt: PromptInfo | None) -> dict[str, object]:
        echoed = prompt if self._echo else None
        text = (echoed.text if echoed else "") + choice.text
        tokens = [*((echoed.logprobs or ()) if echoed else ()), *choice.logprobs]
        return {
            "index": choice.index,
            "text": text,
            "logprobs": completion_logprobs(tokens, 0) if self._logprobs else None,
            "finish_reason": choice.finish_reason,
        }
