"""What may stand in a request: OpenAI's fields, and vLLM's sampling fields beside them.

The models hold shapes and ranges. What we know and do not honour stands in `refusals`; what needs
the engine's help is checked in `capabilities`.
`user` and `safety_identifier` are opaque names of the caller's own users: they are accepted and
have, as OpenAI documents them, no effect on the answer.

Source: OpenAI's API reference (chat completions, completions) and vLLM's extra parameters.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from serving.errors import InvalidRequest
from serving.http.refusals import (
    CHAT_REFUSED,
    COMPLETION_REFUSED,
    MESSAGE_REFUSED,
    STREAM_OPTIONS_REFUSED,
)
from serving.http.strict import Refused, StrictBody, unsupported
from serving.types import Message, SamplingParams

MAX_N = 128
MAX_STOPS = 16
MAX_STOP_IDS = 128
INT64 = 2**63


def _stops(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


def _not_empty(stops: list[str]) -> list[str]:
    if not all(stops):
        raise ValueError("a stop string may not be empty")
    return stops


def _token_biases(given: Any) -> Any:
    """OpenAI's keys are token ids written as strings."""
    if not isinstance(given, dict):
        return given
    try:
        return {int(token): bias for token, bias in given.items()}
    except ValueError:
        raise ValueError("the keys must be token ids, as strings of digits") from None


TokenId = Annotated[int, Field(ge=0, lt=2**31)]
RepetitionPenalty = Annotated[float, Field(gt=0, le=100)]


class StreamOptions(StrictBody):
    """How a stream is to be accompanied."""

    refused: ClassVar[Refused] = STREAM_OPTIONS_REFUSED

    include_usage: bool = False


class GenerationBody(StrictBody):
    """The fields that every generating route takes."""

    model: str | None = None
    stream: bool = False
    n: Annotated[int, Field(ge=1, le=MAX_N)] = 1
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    min_tokens: Annotated[int, Field(ge=0)] = 0
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=-1, lt=2**31)] = 0
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    seed: Annotated[int, Field(ge=-INT64, lt=INT64)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] = 0.0
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] = 0.0
    repetition_penalty: RepetitionPenalty = 1.0
    logit_bias: Annotated[
        dict[TokenId, Annotated[float, Field(ge=-100, le=100)]], BeforeValidator(_token_biases)
    ] = Field(default_factory=dict)
    stop: Annotated[
        list[str],
        Field(max_length=MAX_STOPS),
        BeforeValidator(_stops),
        AfterValidator(_not_empty),
    ] = Field(default_factory=list)
    stop_token_ids: Annotated[list[TokenId], Field(max_length=MAX_STOP_IDS)] = Field(
        default_factory=list
    )
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    skip_special_tokens: bool = True
    user: str | None = None
    safety_identifier: str | None = None

    def sampling(
        self,
        *,
        max_tokens: int | None,
        default_max_tokens: int | None,
        default_temperature: float,
        logprobs: int | None = None,
        prompt_logprobs: bool = False,
    ) -> SamplingParams:
        """How the engine is to sample; InvalidRequest when fields contradict each other."""
        limit = default_max_tokens if max_tokens is None else max_tokens
        if limit is not None and self.min_tokens > limit:
            raise InvalidRequest(
                f"min_tokens: {self.min_tokens} is more than max_tokens, which is {limit}.",
                param="min_tokens",
            )
        return SamplingParams(
            max_tokens=max_tokens,
            default_max_tokens=default_max_tokens,
            min_tokens=self.min_tokens,
            temperature=default_temperature if self.temperature is None else self.temperature,
            top_p=self.top_p,
            top_k=max(0, self.top_k),
            min_p=self.min_p,
            seed=self.seed,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            repetition_penalty=self.repetition_penalty,
            logit_bias=self.logit_bias,
            stop=tuple(self.stop),
            stop_token_ids=tuple(self.stop_token_ids),
            include_stop_str_in_output=self.include_stop_str_in_output,
            ignore_eos=self.ignore_eos,
            skip_special_tokens=self.skip_special_tokens,
            logprobs=logprobs,
            prompt_logprobs=prompt_logprobs,
        )


class OpenAIBody(GenerationBody):
    """What chat and text completions share."""

    model: str
    stream_options: StreamOptions = StreamOptions()

    def check_stream_options(self) -> None:
        """Raises InvalidRequest when there are options for a stream that was not asked for."""
        if "stream_options" in self.model_fields_set and not self.stream:
            raise InvalidRequest(
                "stream_options: only allowed together with stream=true.", param="stream_options"
            )


def _text_of(content: Any) -> Any:
    """Text parts joined; anything else is left for pydantic to refuse."""
    if not isinstance(content, list):
        return content
    return "".join(_part_text(number, part) for number, part in enumerate(content))


def _part_text(number: int, part: object) -> str:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise ValueError(f"part {number} must be an object with a 'type'")
    if part["type"] != "text":
        raise unsupported(f"part {number} is of type '{part['type']}'; only text is supported here")
    if not isinstance(part.get("text"), str) or part.keys() != {"type", "text"}:
        raise ValueError(f"part {number} must hold 'type' and 'text', a string, and nothing else")
    text: str = part["text"]
    return text


class ChatMessage(StrictBody):
    """One turn of a chat, its content as text."""

    refused: ClassVar[Refused] = MESSAGE_REFUSED

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, BeforeValidator(_text_of)]
    name: str | None = None

    def message(self) -> Message:
        """The turn as the engine takes it: 'developer' is OpenAI's newer word for 'system'."""
        role = "system" if self.role == "developer" else self.role
        return Message(role=role, content=self.content, name=self.name)


class ChatBody(OpenAIBody):
    """POST /v1/chat/completions."""

    refused: ClassVar[Refused] = CHAT_REFUSED

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    def token_limit(self) -> int | None:
        """`max_completion_tokens`, or its older name; InvalidRequest when they differ."""
        if self.max_completion_tokens is None or self.max_tokens is None:
            return self.max_completion_tokens or self.max_tokens
        if self.max_completion_tokens != self.max_tokens:
            raise InvalidRequest(
                "max_tokens: it differs from max_completion_tokens; send only one of them.",
                param="max_tokens",
            )
        return self.max_tokens

    def num_logprobs(self) -> int | None:
        """How many alternatives to list for each token; None: no logprobs."""
        if self.top_logprobs is not None and not self.logprobs:
            raise InvalidRequest(
                "top_logprobs: only allowed together with logprobs=true.", param="top_logprobs"
            )
        return (self.top_logprobs or 0) if self.logprobs else None


class CompletionBody(OpenAIBody):
    """POST /v1/completions."""

    refused: ClassVar[Refused] = COMPLETION_REFUSED

    prompt: Any
    echo: bool = False
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
