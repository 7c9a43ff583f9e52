"""What a benchmark asks, and what it saw of each answer: the facts that all figures come from.

All times are seconds of the machine's monotonic clock, `time.perf_counter()`, which all processes
of a machine share.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class FailureKind(StrEnum):
    """The classes of errors that reports count."""

    CONNECT = "connect"  # no connection: refused, no such host, unreachable
    TLS = "tls"
    DISCONNECTED = "disconnected"  # the server closed before its answer was complete
    TIMEOUT = "timeout"
    HTTP_429 = "http_429"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    MALFORMED = "malformed"  # an answer that breaks HTTP, SSE, JSON or OpenAI's shapes
    STREAM_ERROR = "stream_error"  # an error object in the middle of a stream
    NO_TOKENS = "no_tokens"  # an answer that is complete and empty
    SAFETY = "safety"  # the content-safety hook failed or refused
    INTERRUPTED = "interrupted"  # by us: Ctrl-C or the end of the time; never counted as an error


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request has no answer; `detail` is one line for people."""

    kind: FailureKind
    detail: str


class CountedBy(StrEnum):
    """Who counted a request's tokens, the best first."""

    SERVER = "server"  # its own usage
    TOKENIZER = "tokenizer"  # ours, over the text that came
    EVENTS = "events"  # one for each event, for want of anything better


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one request asks: text, token ids or chat turns, whichever its route sends."""

    text: str = ""
    token_ids: tuple[int, ...] = ()
    messages: tuple[Mapping[str, str], ...] = ()
    num_tokens: int | None = None  # where it is known without asking the server
    max_tokens: int | None = None  # None: what the run's settings say


class PromptSource(Protocol):
    """Where prompts come from."""

    def prompt(self, number: int) -> Prompt:
        """The prompt of request `number` (from 0): the same for every arm, process and run."""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as its caller saw it."""

    number: int
    endpoint: int  # which of the run's URLs
    scheduled_s: float  # when it was due; latencies count from here, so no wait is omitted
    sent_s: float  # when its first byte left
    ended_s: float
    event_times_s: tuple[float, ...] = ()  # when text came; empty where nothing was streamed
    prompt_tokens: int = 0
    output_tokens: int = 0
    counted_by: CountedBy = CountedBy.SERVER
    status: int | None = None
    finish_reason: str | None = None
    failure: Failure | None = None
    digest: str = ""  # of the answer's text, to tell whether two arms said the same
    extra: Mapping[str, Any] = field(default_factory=dict)  # what a hook measured, such as safety_s

    @property
    def e2el_s(self) -> float:
        """Due until complete."""
        return self.ended_s - self.scheduled_s

    @property
    def ttft_s(self) -> float | None:
        """Due until the first text of a stream."""
        return self.event_times_s[0] - self.scheduled_s if self.event_times_s else None

    @property
    def tpot_s(self) -> float | None:
        """(E2EL - TTFT) / (output tokens - 1), None for one token.

        To the last text, as in `vllm bench serve`: what a hook does after it generates nothing.
        """
        if not self.event_times_s or self.output_tokens < 2:
            return None
        return (self.event_times_s[-1] - self.event_times_s[0]) / (self.output_tokens - 1)

    @property
    def itl_s(self) -> list[float]:
        """Each gap between two events that brought text."""
        return [after - before for before, after in itertools.pairwise(self.event_times_s)]


# Sends request `number`, due at the given time; a request that fails is a record, not an exception.
Send = Callable[[int, Prompt, float], Awaitable[RequestRecord]]
