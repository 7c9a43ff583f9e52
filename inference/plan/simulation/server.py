"""One replica under continuous batching, simulated. Pure: time is a number that it counts up.

A step reads the prompts that are let in, or decodes one token for every running sequence. A request
is let in when a slot and the KV memory for its prompt and whole answer are free, first come, first
served. One that arrives during a step waits for its end.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Blocked = Literal["KV memory", "slots"]

MOST_STEPS = 32  # at a time, for steps grow longer with what is in the cache


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, and when."""

    at_s: float
    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A request with the times of its answer."""

    request: Request
    first_token_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Speeds:
    """How long a replica takes, and how much it holds."""

    max_num_seqs: int
    kv_tokens: int
    prefill_s: Callable[[int], float]  # of so many prompt tokens
    step_s: Callable[[int, int], float]  # of so many sequences with so many tokens each, on average


@dataclass(slots=True)
class _Sequence:
    request: Request
    first_token_s: float
    left: int  # tokens to decode


@dataclass(slots=True)
class Server:
    """One replica; `offer` and `advance` in the order of time."""

    speeds: Speeds
    now_s: float = 0.0  # the end of its last step
    busy_s: float = 0.0
    blocked_s: dict[Blocked, float] = field(
        default_factory=lambda: {"KV memory": 0.0, "slots": 0.0}
    )
    answered: list[Answered] = field(default_factory=list)
    refused: list[Request] = field(default_factory=list)  # longer than all of the KV memory
    _waiting: deque[Request] = field(default_factory=deque)
    _running: list[_Sequence] = field(default_factory=list)
    _kv_free: int = -1

    def __post_init__(self) -> None:
        self._kv_free = self.speeds.kv_tokens

    @property
    def ongoing(self) -> int:
        """Requests that run or wait."""
        return len(self._running) + len(self._waiting)

    def offer(self, request: Request) -> None:
        """A request arrives; `advance` to its time comes first."""
        if _tokens(request) > self.speeds.kv_tokens:
            self.refused.append(request)
            return
        if not self.ongoing:
            self.now_s = max(self.now_s, request.at_s)
        self._waiting.append(request)

    def advance(self, until_s: float = math.inf) -> None:
        """Steps until that time is reached or nothing is left to do."""
        while self.ongoing and self.now_s < until_s:
            admitted = self._admit()
            if admitted:
                self._prefill(admitted)
            else:
                self._decode(until_s)

    def _admit(self) -> list[Request]:
        admitted: list[Request] = []
        while self._waiting and self._blocked(len(admitted)) is None:
            request = self._waiting.popleft()
            self._kv_free -= _tokens(request)
            admitted.append(request)
        return admitted

    def _blocked(self, admitted: int) -> Blocked | None:
        """Why the first that waits cannot be let in."""
        if len(self._running) + admitted >= self.speeds.max_num_seqs:
            return "slots"
        return "KV memory" if _tokens(self._waiting[0]) > self._kv_free else None

    def _prefill(self, admitted: list[Request]) -> None:
        """The prompts' last position gives each answer's first token."""
        self._pass(self.speeds.prefill_s(sum(each.prompt_tokens for each in admitted)))
        self._running += [_Sequence(each, self.now_s, each.output_tokens - 1) for each in admitted]
        self._leave()

    def _decode(self, until_s: float) -> None:
        """As many steps as change nothing but lengths."""
        batch = len(self._running)
        tokens = sum(_tokens(each.request) - each.left for each in self._running) // batch
        step_s = self.speeds.step_s(batch, tokens)
        fewest = min(each.left for each in self._running)
        steps = min(fewest, MOST_STEPS)
        if until_s < math.inf:
            steps = min(steps, math.ceil((until_s - self.now_s) / step_s))
        if self._waiting and (why := self._blocked(0)) is not None:
            self.blocked_s[why] += steps * step_s
        self._pass(steps * step_s)
        for each in self._running:
            each.left -= steps
        self._leave()

    def _pass(self, seconds: float) -> None:
        self.now_s += seconds
        self.busy_s += seconds

    def _leave(self) -> None:
        """Sequences that are done free their slot and memory."""
        for each in self._running:
            if each.left == 0:
                self._kv_free += _tokens(each.request)
                self.answered.append(Answered(each.request, each.first_token_s, self.now_s))
        self._running = [each for each in self._running if each.left]


def _tokens(request: Request) -> int:
    return request.prompt_tokens + request.output_tokens


def run(servers: list[Server], requests: list[Request]) -> None:
    """All requests, in order of time, each to the server with the fewest; to the last answer."""
    for request in requests:
        for server in servers:
            server.advance(request.at_s)
        min(servers, key=lambda server: server.ongoing).offer(request)
    for server in servers:
        server.advance()
