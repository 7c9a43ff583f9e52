"""The options of `anynode bench throughput`, and the loads, prompts and checks they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from inference.bench import safety
from inference.bench.plan import Load
from inference.bench.prompts.lengths import fixed
from inference.bench.prompts.synthetic import SyntheticPrompts
from inference.bench.prompts.tokenizer import BenchTokenizer
from inference.bench.record import PromptSource
from inference.bench.safety import SafetySettings
from inference.bench.throughput.parameters import Mode, Parameters
from inference.bench.throughput.prompts import (
    RepeatedQuestions,
    SamePrompt,
    parse_prompt_length,
    read_prompt,
    words_for,
)
from serving.errors import ConfigError

WHAT = "What to measure"
DEFAULT_PROMPT_LENGTH = "1k"
LEAST_REQUESTS = 32
REQUESTS_PER_CLIENT = 3

PromptsOf = Callable[[int], PromptSource]  # those of a seed

Params = Annotated[
    Path | None,
    typer.Option(
        help="The tool's parameters.json. [dim](default: its values, without a check)[/dim]",
        show_default=False,
        rich_help_panel=WHAT,
    ),
]
ModeOption = Annotated[
    Mode,
    typer.Option(
        help="Questions to /v1/chat/completions, or random tokens to /v1/completions.",
        rich_help_panel=WHAT,
    ),
]
PromptLength = Annotated[
    str | None,
    typer.Option(
        help="Tokens of a chat's question, such as 25, 500 or 4k; with --prompt-file a name in it. "
        "[dim](default: 1k)[/dim]",
        show_default=False,
        rich_help_panel=WHAT,
    ),
]
PromptFile = Annotated[
    Path | None,
    typer.Option(help="The tool's input.jsonl, instead of our questions.", rich_help_panel=WHAT),
]
Stream = Annotated[
    bool,
    typer.Option(
        "--stream/--no-stream",
        help="Ask for streams, which the tool did not: gives TTFT, TPOT and ITL.",
        rich_help_panel=WHAT,
    ),
]
Safety = Annotated[
    str | None,
    typer.Option(
        help="A content-safety check around every request: none, azure or simulate:SECONDS. "
        "[dim](default: as SAFE_CHECK says)[/dim]",
        show_default=False,
        rich_help_panel=WHAT,
    ),
]
Repeats = Annotated[
    int, typer.Option(min=1, help="Go through all levels so often.", rich_help_panel=WHAT)
]
Warmup = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Requests before each measurement. [dim](default: one for each client)[/dim]",
        show_default=False,
        rich_help_panel=WHAT,
    ),
]
RequestsPerLevel = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Requests of each measurement. [dim](default: 3 for each client, at least 32)[/dim]",
        show_default=False,
        rich_help_panel=WHAT,
    ),
]


@dataclass(frozen=True)
class Levels:
    """What to measure, besides what the parameter file says."""

    params: Params = None
    mode: ModeOption = "chat"
    prompt_length: PromptLength = None
    prompt_file: PromptFile = None
    stream: Stream = False
    safety: Safety = None
    repeats: Repeats = 1
    warmup: Warmup = None
    requests_per_level: RequestsPerLevel = None

    def loads(self, concurrent_levels: list[int]) -> list[Load]:
        """A closed loop for each level, long enough that all its clients are busy for a while."""
        most = max(concurrent_levels)
        if self.requests_per_level is not None and self.requests_per_level < most:
            raise ConfigError(
                f"--requests-per-level: {self.requests_per_level} requests do not keep {most} "
                f"clients busy; give at least {most}"
            )
        return [
            Load(
                concurrency=level,
                num_requests=self.requests_per_level
                or max(LEAST_REQUESTS, REQUESTS_PER_CLIENT * level),
                warmup_requests=level if self.warmup is None else self.warmup,
            )
            for level in concurrent_levels
        ]

    def check(self, safe_check: bool) -> SafetySettings | None:
        """The option's, or else Azure's if the parameter file wants one. Raises ConfigError."""
        if self.safety is not None:
            return safety.settings(self.safety)
        if safe_check and not safety.azure_is_set():
            raise ConfigError(
                f"SAFE_CHECK is true, but {safety.ENDPOINT_VARIABLE} and {safety.KEY_VARIABLE} "
                "are not set: set them, or say --safety simulate:0.35 or --safety none"
            )
        return safety.settings("azure" if safe_check else "none")

    def prompts(
        self,
        parameters: Parameters,
        tokenizer: BenchTokenizer | None,
        check: SafetySettings | None,
    ) -> PromptsOf:
        """Such as the check can read. Raises ConfigError."""
        if self.mode == "completion":
            as_text = check is not None and check.kind == "azure"
            return self._random_tokens(parameters, tokenizer, as_text)
        max_tokens, system = parameters.max_new_tokens, parameters.sys_prompt
        length = self.prompt_length or DEFAULT_PROMPT_LENGTH
        if self.prompt_file is not None:
            text = read_prompt(self.prompt_file, length)
            return lambda seed: SamePrompt(text, max_tokens, system, tokenizer)
        num_words = words_for(parse_prompt_length(length), tokenizer)
        return lambda seed: RepeatedQuestions(num_words, max_tokens, system, tokenizer, seed)

    def _random_tokens(
        self, parameters: Parameters, tokenizer: BenchTokenizer | None, as_text: bool
    ) -> PromptsOf:
        for name, value in (("length", self.prompt_length), ("file", self.prompt_file)):
            if value is not None:
                raise ConfigError(
                    f"--prompt-{name}: it is for --mode chat; the length of random prompts is "
                    "RANDOM_PROMPT_LENGTH in the file of --params"
                )
        return lambda seed: SyntheticPrompts(
            fixed(parameters.random_prompt_length),
            fixed(parameters.max_new_tokens),
            "generate" if as_text else "completions",  # the former never has token ids
            tokenizer,
            seed,
        )

    def notes(self, tokenizer: str | None) -> list[str]:
        """What a person should know of these prompts. Pure."""
        if self.prompt_file is not None:
            return [
                "All prompts are the same: a server that remembers prefixes computes them once. "
                "Without --prompt-file each request has its own."
            ]
        if self.mode == "completion" and tokenizer is None:
            return [
                "Prompts have RANDOM_PROMPT_LENGTH short words; with TOKENIZER_PATH they would "
                "have exactly as many tokens."
            ]
        return []
