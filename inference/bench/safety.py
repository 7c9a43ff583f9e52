"""The content-safety check around every request: of its prompt before, of its answer after.

Production systems pay for such checks with every request, so a benchmark can count them in. Their
time is inside the request's latency, and it is in `extra["safety_s"]` of its record as well.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Literal

from inference.bench.record import Failure, Prompt, RequestRecord, Send
from serving.errors import ConfigError

ENDPOINT_VARIABLE = "CONTENT_SAFETY_ENDPOINT"
KEY_VARIABLE = "CONTENT_SAFETY_KEY"

# Says why a text may not pass, or None if it may.
Check = Callable[[str], Awaitable[Failure | None]]


@dataclass(frozen=True, slots=True)
class SafetySettings:
    """Who checks. Azure's endpoint and key stay in the environment."""

    kind: Literal["azure", "simulate"]
    delay_s: float = 0.0  # of each simulated check

    def __str__(self) -> str:
        return self.kind if self.kind == "azure" else f"{self.kind}:{self.delay_s:g}"


def settings(text: str) -> SafetySettings | None:
    """From `none`, `azure` or `simulate:SECONDS`; raises ConfigError for what cannot work here."""
    kind, _, value = text.partition(":")
    if text == "none":
        return None
    if text == "azure":
        _check_azure()
        return SafetySettings("azure")
    if kind == "simulate":
        return SafetySettings("simulate", _seconds(value))
    raise ConfigError(f"--safety: {text!r} is none of: none, azure, simulate:SECONDS")


def azure_is_set() -> bool:
    """Whether the environment names an Azure resource."""
    return all(os.environ.get(name) for name in (ENDPOINT_VARIABLE, KEY_VARIABLE))


def checked(send: Send, settings: SafetySettings) -> Send:
    """`send` with a check before and after. Call it where an event loop runs.

    A text that is refused and a check that fails are a record with FailureKind.SAFETY; a prompt
    that is refused is not sent. Answers must be in `extra["text"]`.
    """
    check = _check(settings)

    async def send_checked(number: int, prompt: Prompt, scheduled_s: float) -> RequestRecord:
        began_s = time.perf_counter()
        failure = await check(text_of(prompt))
        sent_s = time.perf_counter()
        if failure is not None:
            extra = {"safety_s": sent_s - began_s}
            return RequestRecord(
                number, 0, scheduled_s, sent_s, sent_s, failure=failure, extra=extra
            )
        record = await send(number, prompt, scheduled_s)
        safety_s, ended_s = sent_s - began_s, record.ended_s
        if record.failure is None:
            answered_s = time.perf_counter()
            failure = await check(record.extra["text"])
            ended_s = time.perf_counter()
            safety_s += ended_s - answered_s
        return replace(
            record,
            ended_s=ended_s,
            failure=record.failure or failure,
            extra={**record.extra, "safety_s": safety_s},
        )

    return send_checked


def text_of(prompt: Prompt) -> str:
    """All that a person would read of it. Pure."""
    return prompt.text or "\n".join(turn["content"] for turn in prompt.messages)


def _check(settings: SafetySettings) -> Check:
    if settings.kind == "azure":
        from inference.bench.azure_safety import azure_check

        return azure_check(os.environ[ENDPOINT_VARIABLE], os.environ[KEY_VARIABLE])

    async def simulated(text: str) -> None:
        await asyncio.sleep(settings.delay_s)

    return simulated


def _check_azure() -> None:
    if not azure_is_set():
        raise ConfigError(
            f"--safety azure: set {ENDPOINT_VARIABLE} and {KEY_VARIABLE}, "
            "or say --safety simulate:0.35"
        )
    try:
        import_module("azure.ai.contentsafety")
    except ImportError:
        raise ConfigError(
            "--safety azure: azure-ai-contentsafety is not installed; pip install 'anynode[safety]'"
        ) from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"--safety: {text!r} is no number of seconds; say it as in simulate:0.35")
    return seconds
