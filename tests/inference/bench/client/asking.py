"""Runs of the real client, as short as a test can say them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from inference.bench.client.meter import Meter
from inference.bench.client.sender import Sender
from inference.bench.plan import Load, RunPlan, Target
from inference.bench.record import Prompt, RequestRecord


@dataclass(frozen=True)
class Numbered:
    """Prompts of one length that differ by their number."""

    length: int = 20
    max_tokens: int | None = 10

    def prompt(self, number: int) -> Prompt:
        text = f"{number:010d}".ljust(self.length, "x")
        return Prompt(text=text, num_tokens=self.length, max_tokens=self.max_tokens)


def plan(
    url: str, load: Load, *, prompts: Any = None, processes: int = 1, **target: Any
) -> RunPlan:
    """Completions of the echo model unless said otherwise."""
    settings = {"route": "completions", "model": "echo", **target}
    return RunPlan(
        "run", Target((url,), **settings), prompts or Numbered(), load, processes=processes
    )


def ask(url: str, *, times: int = 1, **target: Any) -> list[RequestRecord]:
    """One request after the other, over the same connections."""

    async def scenario() -> list[RequestRecord]:
        settings = {"urls": (url,), "route": "completions", "model": "echo", "timeout_s": 10.0}
        sender = Sender(Target(**{**settings, **target}), Meter())
        clock = asyncio.get_running_loop().time
        records = [await sender.send(i, Numbered().prompt(i), clock()) for i in range(times)]
        sender.close()
        return records

    return asyncio.run(scenario())
