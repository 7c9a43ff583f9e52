"""The options that say what is asked and how, and the target and prompts they make."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from inference.bench import probe
from inference.bench.plan import RouteName, Target
from inference.bench.prompts.dataset import DatasetPrompts
from inference.bench.prompts.lengths import FORMS, fixed, parse_length
from inference.bench.prompts.synthetic import SyntheticPrompts
from inference.bench.prompts.tokenizer import BenchTokenizer
from inference.bench.record import PromptSource
from inference.bench.report.model import ServerReport
from inference.cli.bench import session
from inference.cli.bench.options import Whom
from serving.errors import ConfigError

WHAT = "What to ask"
DEFAULT_TOKENS = "128"
LENGTHS = ("prompt_tokens", "output_tokens")

Route = Annotated[RouteName, typer.Option(help="Which API to ask.", rich_help_panel=WHAT)]
PromptTokens = Annotated[
    str | None,
    typer.Option(
        help=f"Length of prompts: {FORMS}. [dim](default: {DEFAULT_TOKENS})[/dim]",
        rich_help_panel=WHAT,
    ),
]
OutputTokens = Annotated[
    str | None,
    typer.Option(
        help="Length of answers, in the same forms; for --dataset one number. "
        f"[dim](default: {DEFAULT_TOKENS}, or what the dataset says)[/dim]",
        rich_help_panel=WHAT,
    ),
]
PrefixTokens = Annotated[
    int | None,
    typer.Option(min=1, help="Of each prompt, what it shares with others.", rich_help_panel=WHAT),
]
NumPrefixes = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="How many different shared heads. [dim](default: 1)[/dim]",
        rich_help_panel=WHAT,
    ),
]
Dataset = Annotated[
    Path | None,
    typer.Option(
        help="Ask what is in this file instead: .jsonl, .json (ShareGPT too) or .txt.",
        rich_help_panel=WHAT,
    ),
]
Stream = Annotated[
    bool, typer.Option("--stream/--no-stream", help="Ask for a stream.", rich_help_panel=WHAT)
]
UNSAID = "The server's own, if not said."
Temperature = Annotated[float | None, typer.Option(min=0, help=UNSAID, rich_help_panel=WHAT)]
TopP = Annotated[float | None, typer.Option(min=0, max=1, help=UNSAID, rich_help_panel=WHAT)]
IgnoreEos = Annotated[
    bool,
    typer.Option(
        "--ignore-eos/--no-ignore-eos",
        help="Answers of exactly the length asked for; a field of vLLM's and ours.",
        rich_help_panel=WHAT,
    ),
]
ExtraBody = Annotated[
    str | None,
    typer.Option(help="More fields for every request, as a JSON object.", rich_help_panel=WHAT),
]


@dataclass(frozen=True)
class What:
    """Prompts and the fields around them."""

    route: Route = "chat"
    prompt_tokens: PromptTokens = None
    output_tokens: OutputTokens = None
    prefix_tokens: PrefixTokens = None
    num_prefixes: NumPrefixes = None
    dataset: Dataset = None
    stream: Stream = True
    temperature: Temperature = None
    top_p: TopP = None
    ignore_eos: IgnoreEos = False
    extra_body: ExtraBody = None

    def prompts(self, tokenizer: str | None, seed: int) -> PromptSource:
        """From the dataset, or synthetic ones of the lengths given."""
        reader = BenchTokenizer(tokenizer) if tokenizer else None
        if self.dataset is not None:
            self.refuse_lengths("--dataset brings its own")
            return DatasetPrompts(self.dataset, self.route, seed=seed, tokenizer=reader)
        return SyntheticPrompts(
            prompt_tokens=parse_length(self.prompt_tokens or DEFAULT_TOKENS, "--prompt-tokens"),
            output_tokens=parse_length(self.output_tokens or DEFAULT_TOKENS, "--output-tokens"),
            route=self.route,
            tokenizer=reader,
            seed=seed,
            prefix_tokens=self.prefix_tokens or 0,
            num_prefixes=self.num_prefixes or 1,
        )

    def settings(self) -> dict[str, Any]:
        """Every option as it is in force."""
        unsaid = {} if self.dataset else dict.fromkeys(LENGTHS, DEFAULT_TOKENS)
        return {**unsaid, **session.settings(self)}

    def refuse_lengths(self, why: str) -> None:
        """Raises ConfigError for an option about prompts that would be ignored."""
        refuse_idle(
            why,
            {
                "--prompt-tokens": self.prompt_tokens,
                "--prefix-tokens": self.prefix_tokens,
                "--num-prefixes": self.num_prefixes,
            },
        )

    def max_tokens(self) -> int | None:
        """For answers whose length the dataset does not say."""
        if self.dataset is None or self.output_tokens is None:
            return None
        length = parse_length(self.output_tokens, "--output-tokens")
        if length != fixed(length.shortest):
            raise ConfigError("--output-tokens: with --dataset it must be one number")
        return length.shortest

    def fields(self) -> dict[str, Any]:
        """What every request carries besides its prompt."""
        found: dict[str, Any] = {"temperature": self.temperature, "top_p": self.top_p}
        if self.ignore_eos:
            found["ignore_eos"] = True
        said = {name: value for name, value in found.items() if value is not None}
        if said and self.route == "embeddings":
            name = next(iter(said)).replace("_", "-")
            raise ConfigError(f"--{name}: embeddings are not generated; leave it out")
        return {**said, **_extra(self.extra_body)}

    def target(self, urls: list[str], server: ServerReport, whom: Whom) -> Target:
        """Whom to ask and how; `server` is what the first URL said of itself."""
        if self.route == "generate" and not self.stream and whom.tokenizer is None:
            raise ConfigError(
                "--no-stream: whole answers of /generate say no number of tokens; "
                "leave it out, or give --tokenizer to count them"
            )
        return Target(
            urls=tuple(urls),
            route=self.route,
            model=probe.model_id(server, whom.model),
            headers=whom.headers(),
            stream=self.stream and self.route != "embeddings",
            max_tokens=self.max_tokens(),
            sampling=self.fields(),
            timeout_s=whom.timeout_s,
            tokenizer=whom.tokenizer,
        )


def refuse_idle(why: str, options: dict[str, object]) -> None:
    """Raises ConfigError for the first of these that was given: it would change nothing."""
    for name, value in options.items():
        if value is not None:
            raise ConfigError(f"{name}: {why}; leave it out")


def _extra(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"--extra-body: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError("--extra-body: it must be a JSON object, such as '{\"top_k\": 5}'")
    return found
