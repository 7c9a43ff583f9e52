"""An engine without a model: it says the prompt again, at whatever pace it is told.

It ships with the product so that the whole stack can run, be tested and be measured on any
machine. A token is one Unicode code point and its id is that code point's number; of a chat it
repeats what the user said last. The text ends with "stop" where the prompt's text ends; asked to
go on (`ignore_eos`, `min_tokens`) it begins again.

Its next token is always certain, so it honours temperature, top_p, top_k, min_p and seed by
ignoring them, and every logprob it reports is 0.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any, Self

from serving.engine import nearest
from serving.errors import ConfigError, ContextTooLong, EngineDead, InvalidRequest
from serving.stop_strings import StopScanner
from serving.types import (
    Chunk,
    EngineSettings,
    FinishReason,
    GenerateRequest,
    Occupancy,
    Prompt,
    PromptInfo,
    TokenLogprob,
)

DEFAULT_MAX_MODEL_LEN = 8192
LAST_CODE_POINT = 0x10FFFF


@dataclass(frozen=True, slots=True)
class Pace:
    """When tokens are due, counted from the start of a request; the engine_kwargs of echo."""

    tokens_per_s: float = 0.0  # of each request; 0: as fast as possible
    prefill_ms_per_token: float = 0.0
    first_token_ms: float = 0.0  # on top of the prefill

    @classmethod
    def from_kwargs(cls, kwargs: Mapping[str, Any]) -> Self:
        """Raises ConfigError naming what is unknown or not a number of at least 0."""
        known = [field.name for field in fields(cls)]
        for name, value in kwargs.items():
            param = f"engine_kwargs.{name}"
            if name not in known:
                raise ConfigError(f"{param}: unknown{nearest(name, known)}", param=param)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise ConfigError(f"{param}: {value!r} is not a number of at least 0", param=param)
        return cls(**kwargs)

    def prefill_s(self, num_prompt_tokens: int) -> float:
        """How long before the first token."""
        return (num_prompt_tokens * self.prefill_ms_per_token + self.first_token_ms) / 1000

    def num_due(self, decoding_s: float) -> int:
        """How many tokens should have come, so long after the first was due."""
        return 1 + math.floor(decoding_s * self.tokens_per_s)

    def due_s(self, number: int) -> float:
        """When token `number` (from 0) is due, after the first."""
        return number / self.tokens_per_s if self.tokens_per_s else 0.0


@dataclass(frozen=True, slots=True)
class Piece:
    """What all choices say next; they say the same."""

    text: str = ""
    num_tokens: int = 0
    finish_reason: FinishReason | None = None


class Script:
    """What a request will be answered, token by token."""

    def __init__(self, request: GenerateRequest, max_model_len: int) -> None:
        """Raises InvalidRequest and ContextTooLong."""
        if not request.prompt:
            raise InvalidRequest("prompt: it has no tokens; send at least one", param="prompt")
        self._sampling = request.sampling
        self.prompt_text, spoken = _texts(request.prompt)
        self._text = spoken or " "
        limit = self._token_limit(max_model_len)
        natural = math.inf if self._sampling.ignore_eos else len(spoken)
        natural = max(natural, self._sampling.min_tokens)
        self._end_reason: FinishReason = "length" if limit <= natural else "stop"
        self._num_planned = int(min(limit, natural))
        self._stops = StopScanner(
            self._sampling.stop, include_stop=self._sampling.include_stop_str_in_output
        )
        self.num_tokens = 0
        self.ended = False

    def _token_limit(self, max_model_len: int) -> int:
        num_prompt = len(self.prompt_text)
        room = max_model_len - num_prompt
        asked = self._sampling.max_tokens
        if room < 1 or (asked or 0) > room:
            raise ContextTooLong(
                f"The prompt has {num_prompt} tokens and the answer may have {asked or 1}; "
                f"together that is more than the model's {max_model_len}.",
                param="max_tokens" if room >= 1 else None,
            )
        return asked or min(self._sampling.default_max_tokens or room, room)

    def advance(self, num_tokens: int) -> Piece:
        """Say up to `num_tokens` more tokens, fewer where the text ends."""
        before = self.num_tokens
        shown: list[str] = []
        reason: FinishReason | None = None
        while reason is None and self.num_tokens < min(before + num_tokens, self._num_planned):
            reason = self._say(shown)
        if reason is None and self.num_tokens == self._num_planned:
            reason = self._end_reason
            shown.append(self._stops.flush())
        self.ended = reason is not None
        return Piece("".join(shown), self.num_tokens - before, reason)

    def _say(self, shown: list[str]) -> FinishReason | None:
        """One token more; "stop" when it ends the text."""
        token = self._text[self.num_tokens % len(self._text)]
        self.num_tokens += 1
        if self.num_tokens <= self._sampling.min_tokens:  # nothing may end the text yet
            shown.append(token)
            return None
        if ord(token) in self._sampling.stop_token_ids:
            shown.append(self._stops.flush())
            return "stop"
        text, stop = self._stops.push(token)
        shown.append(text)
        return None if stop is None else "stop"


class EchoEngine:
    """See the module; the Engine protocol is in serving.engine."""

    capabilities = frozenset(
        {
            "chat",
            "sampling",
            "stop_token_ids",
            "min_tokens",
            "ignore_eos",
            "logprobs",
            "prompt_logprobs",
        }
    )

    def __init__(self, settings: EngineSettings) -> None:
        """Raises ConfigError for engine_kwargs that do not exist (`Pace` lists them)."""
        self.max_model_len = settings.max_model_len or DEFAULT_MAX_MODEL_LEN
        self._pace = Pace.from_kwargs(settings.engine_kwargs)
        self._max_num_seqs = settings.max_num_seqs
        self._rows = asyncio.Semaphore(settings.max_num_seqs)
        self._turn = asyncio.Lock()
        self._occupancy = {"running": 0, "waiting": 0}
        self._loaded = False
        self._sleepers: set[asyncio.Future[None]] = set()

    async def load(self) -> None:
        """There is nothing to load."""
        self._loaded = True

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Chunk, None]:
        """The prompt's text again, `n` times side by side."""
        await self.check_health()
        script = Script(request, self.max_model_len)
        clock = asyncio.get_running_loop().time
        arrived_s = clock()
        async with self._admitted(request.n), aclosing(self._paced(script)) as pieces:
            told: PromptInfo | None = _prompt_info(script, request, clock() - arrived_s)
            async for piece in pieces:
                logprobs = _logprobs(piece.text, request.sampling.logprobs)
                tokens = tuple(map(ord, piece.text))
                for index in range(request.n):
                    yield Chunk(
                        index, piece.text, tokens, piece.num_tokens, logprobs,
                        piece.finish_reason, told,
                    )  # fmt: skip
                    told = None

    def occupancy(self) -> Occupancy:
        """Sequences; there is no KV cache."""
        return Occupancy(self._occupancy["running"], self._occupancy["waiting"])

    async def check_health(self) -> None:
        """Raises EngineDead before load() and after unload()."""
        if not self._loaded:
            raise EngineDead("The echo engine is not loaded.")

    async def unload(self) -> None:
        """End every request with EngineDead."""
        self._loaded = False
        for sleeper in self._sleepers:
            _wake(sleeper)

    @asynccontextmanager
    async def _admitted(self, num_sequences: int) -> AsyncIterator[None]:
        """Rows for so many sequences, in the order of arrival."""
        wanted = min(num_sequences, self._max_num_seqs)
        num_held = 0
        self._occupancy["waiting"] += wanted
        try:
            async with self._turn:  # one request at a time, or two could each hold half
                while num_held < wanted:
                    await self._rows.acquire()
                    num_held += 1
                    self._occupancy["waiting"] -= 1
                    self._occupancy["running"] += 1
            yield
        finally:
            self._occupancy["waiting"] -= wanted - num_held
            self._occupancy["running"] -= num_held
            for _ in range(num_held):
                self._rows.release()

    async def _paced(self, script: Script) -> AsyncGenerator[Piece, None]:
        """The script's pieces when they are due: late tokens come together, nothing drifts."""
        clock = asyncio.get_running_loop().time
        first_due_s = clock() + self._pace.prefill_s(len(script.prompt_text))
        await self._sleep_until(first_due_s)
        while not script.ended:
            num_due = 1
            if self._pace.tokens_per_s:
                await self._sleep_until(first_due_s + self._pace.due_s(script.num_tokens))
                num_due = self._pace.num_due(clock() - first_due_s) - script.num_tokens
            else:
                await asyncio.sleep(0)
            await self.check_health()
            yield script.advance(max(1, num_due))

    async def _sleep_until(self, when_s: float) -> None:
        """Sleep, unless the engine is unloaded meanwhile."""
        loop = asyncio.get_running_loop()
        if when_s <= loop.time():
            return
        sleeper: asyncio.Future[None] = loop.create_future()
        self._sleepers.add(sleeper)
        timer = loop.call_at(when_s, _wake, sleeper)
        try:
            await sleeper
        finally:
            timer.cancel()
            self._sleepers.discard(sleeper)


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)


def _texts(prompt: Prompt) -> tuple[str, str]:
    """The prompt as text, and the part of it that is to be said again."""
    if isinstance(prompt, str):
        return prompt, prompt
    messages = [item for item in prompt if not isinstance(item, int)]
    if messages:
        said = [message.content for message in messages if message.role == "user"]
        return "\n".join(message.content for message in messages), said[-1] if said else ""
    text = "".join(_character(item) for item in prompt if isinstance(item, int))
    return text, text


def _character(token_id: int) -> str:
    if not 0 <= token_id <= LAST_CODE_POINT:
        raise InvalidRequest(f"prompt: token {token_id} is not a code point", param="prompt")
    return chr(token_id)


def _prompt_info(script: Script, request: GenerateRequest, queue_s: float) -> PromptInfo:
    text = script.prompt_text
    logprobs: tuple[TokenLogprob, ...] | None = None
    if request.sampling.prompt_logprobs and text:
        certain = _logprobs(text, request.sampling.logprobs or 0) or ()
        logprobs = (TokenLogprob(ord(text[0]), text[0], None), *certain[1:])
    return PromptInfo(len(text), text, queue_s, logprobs)


def _logprobs(text: str, num_alternatives: int | None) -> tuple[TokenLogprob, ...] | None:
    """Certainty: each token has all the probability, and so no other alternative has any."""
    if num_alternatives is None:
        return None
    return tuple(
        TokenLogprob(ord(token), token, 0.0, ((ord(token), token, 0.0),)[:num_alternatives])
        for token in text
    )
