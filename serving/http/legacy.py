"""POST /generate and POST /: the older shapes, for the clients that still send them.

Both take `prompt`, `stream` and the sampling fields of /v1/completions. Where the two traditions
conflict, the route decides:

==============  =========================================  ====================================
                POST /generate                             POST /
==============  =========================================  ====================================
answer          ``{"text": "<prompt><completion>"}``       ``{"text": ["<prompt><completion>"]}``
n               one                                        any; one text each
max_tokens      128                                        256
temperature     0.7                                        1.0
top_k, top_p    40, 0.5                                    off
==============  =========================================  ====================================

The deployment's own defaults for max_tokens and temperature go before those above.
`token_repetition_penalty` is /generate's word for `repetition_penalty`; both routes take both.
A stream is lines of JSON, ``{"text": "<what is new>"}``, without the prompt and for one answer
only. The answer is the same on every device and always says what it is (application/json,
application/x-ndjson). Fields that were once accepted without effect are honoured (`stop`, `n`,
`min_p`, `skip_special_tokens`, `model`) or refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from serving.errors import InvalidRequest, ServingError
from serving.http.answer import Usage
from serving.http.collect import Collected
from serving.http.job import Job
from serving.http.merge import Batch
from serving.http.offer import Offer
from serving.http.protocol import GenerationBody, RepetitionPenalty
from serving.http.refusals import LEGACY_REFUSED
from serving.http.strict import Refused


@dataclass(frozen=True, slots=True)
class LegacyRoute:
    """What differs between the two."""

    max_tokens: int
    temperature: float
    sampling_defaults: Mapping[str, Any]  # left out where the engine cannot sample
    many_texts: bool  # the answer is a list


GENERATE = LegacyRoute(128, 0.7, {"top_k": 40, "top_p": 0.5}, many_texts=False)
ROOT = LegacyRoute(256, 1.0, {}, many_texts=True)


class LegacyBody(GenerationBody):
    """The union of what both routes take."""

    refused: ClassVar[Refused] = LEGACY_REFUSED

    prompt: str
    token_repetition_penalty: RepetitionPenalty = 1.0

    def penalty(self) -> float:
        """The repetition penalty under either name; InvalidRequest when both are given."""
        if {"repetition_penalty", "token_repetition_penalty"} <= self.model_fields_set:
            raise InvalidRequest(
                "token_repetition_penalty: it means repetition_penalty; send only one of them.",
                param="token_repetition_penalty",
            )
        return self.repetition_penalty * self.token_repetition_penalty


def understand_generate(given: dict[str, Any], offer: Offer) -> tuple[Job, LegacyAnswer]:
    """POST /generate: the work and the shape of the answer; raises InvalidRequest and its kind."""
    return _understand(given, offer, GENERATE)


def understand_root(given: dict[str, Any], offer: Offer) -> tuple[Job, LegacyAnswer]:
    """POST /: the work and the shape of the answer; raises InvalidRequest and its kind."""
    return _understand(given, offer, ROOT)


def _understand(
    given: dict[str, Any], offer: Offer, route: LegacyRoute
) -> tuple[Job, LegacyAnswer]:
    body = LegacyBody.parse(given)
    offer.check(body)
    if body.n > 1 and (body.stream or not route.many_texts):
        raise InvalidRequest(
            "n: only one text fits into this answer; use /v1/completions for more.", param="n"
        )
    sampling = _with_defaults(body, offer, route).sampling(
        max_tokens=body.max_tokens,
        default_max_tokens=offer.settings.default_max_tokens or route.max_tokens,
        default_temperature=offer.temperature(route.temperature),
    )
    return Job((body.prompt,), sampling, body.n), LegacyAnswer(body, route)


def _with_defaults(body: LegacyBody, offer: Offer, route: LegacyRoute) -> LegacyBody:
    """The body, and the route's defaults for what it does not say."""
    changes: dict[str, Any] = {"repetition_penalty": body.penalty()}
    if "sampling" in offer.capabilities:
        unsaid = route.sampling_defaults.keys() - body.model_fields_set
        changes.update({name: route.sampling_defaults[name] for name in unsaid})
    return body.model_copy(update=changes)


class LegacyAnswer:
    """Texts and nothing else."""

    media_type = "application/x-ndjson"

    def __init__(self, body: LegacyBody, route: LegacyRoute) -> None:
        self.streams = body.stream
        self._prompt = body.prompt
        self._many_texts = route.many_texts

    def opening(self) -> str:
        """Nothing comes before the first text."""
        return ""

    def pieces(self, batch: Batch) -> str:
        """A line for each piece of text."""
        texts = [chunk.text for _, chunk in batch if chunk.text]
        return "".join([f'{{"text": {json.dumps(text)}}}\n' for text in texts])

    def closing(self, usage: Usage) -> str:
        """The stream just ends."""
        return ""

    def failure(self, error: ServingError) -> str:
        """The error as a line."""
        return f"{json.dumps(error.body())}\n"

    def whole(self, collected: Collected, usage: Usage) -> dict[str, object]:
        """The prompt and what came after it."""
        texts = [self._prompt + choice.text for choice in collected.choices]
        return {"text": texts if self._many_texts else texts[0]}
