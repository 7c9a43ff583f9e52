"""Gathers a whole answer, for clients that did not ask for a stream."""

from __future__ import annotations

from dataclasses import dataclass, field

from serving.http.job import Run
from serving.types import FinishReason, PromptInfo, TokenLogprob


@dataclass(slots=True)
class Choice:
    """One answer to one prompt."""

    index: int
    pieces: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish_reason: FinishReason | None = None

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)


@dataclass(slots=True)
class Collected:
    """All choices in order, and what became of each prompt, by the prompt's number."""

    choices: list[Choice]
    prompts: dict[int, PromptInfo]


async def collect(run: Run, num_choices: int, n: int) -> Collected:
    """Take everything; `n` choices belong to each prompt."""
    whole = Collected([Choice(index) for index in range(num_choices)], {})
    while batch := await run.take():
        for index, chunk in batch:
            choice = whole.choices[index]
            choice.pieces.append(chunk.text)
            choice.logprobs.extend(chunk.logprobs or ())
            choice.finish_reason = chunk.finish_reason or choice.finish_reason
            if chunk.prompt is not None:
                whole.prompts[index // n] = chunk.prompt
    return whole
