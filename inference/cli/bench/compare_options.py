"""The options of `anynode bench compare`.

None stands for what is not said; the defaults are those of a comparison file.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from inference.bench.compare.parity import MayDiffer
from inference.bench.plan import RouteName
from inference.bench.prompts.lengths import FORMS
from inference.cli.bench.options import HOW, WHOM
from inference.cli.bench.serve import WHEN
from inference.cli.bench.workload import WHAT

WHO = "Who is compared"
JUDGE = "How to judge"


def _option(help_text: str, panel: str, *names: str) -> Any:
    return typer.Option(*names, help=help_text, rich_help_panel=panel, show_default=False)


@dataclass(frozen=True)
class Arms:
    """Who, and how often."""

    arm: Annotated[list[str] | None, _option("NAME=URL of a server; repeat it.", WHO)] = None
    result: Annotated[
        list[str] | None,
        _option(
            "NAME=FILE instead: a result of ours, of `vllm bench serve` or of GuideLLM; "
            "repeat it, for a further round too.",
            WHO,
        ),
    ] = None
    baseline: Annotated[
        str | None, _option("Whom to hold the others against. [dim](default: the first)[/dim]", WHO)
    ] = None
    rounds: Annotated[int | None, _option("Rounds that count. [dim](default: 5)[/dim]", HOW)] = None
    warmup_rounds: Annotated[
        int | None, _option("Rounds before them. [dim](default: 1)[/dim]", HOW)
    ] = None


@dataclass(frozen=True)
class Judgement:
    """What must hold."""

    gate: Annotated[
        list[str] | None,
        _option("What must hold, such as 'ours/bare tokens_per_s >= 0.97 @ 8'; repeat it.", JUDGE),
    ] = None
    gates: Annotated[Path | None, _option("A file of gates, one a line.", JUDGE)] = None
    must_match: Annotated[
        list[MayDiffer] | None,
        _option("What must be the same besides the work: answers, versions; repeat it.", JUDGE),
    ] = None


@dataclass(frozen=True)
class LoadOptions:
    """What every arm is asked."""

    route: Annotated[
        RouteName | None, _option("Which API to ask. [dim](default: chat)[/dim]", WHAT)
    ] = None
    prompt_tokens: Annotated[
        str | None,
        _option(f"Length of prompts: {FORMS}. [dim](default: 128)[/dim]", WHAT),
    ] = None
    output_tokens: Annotated[
        str | None, _option("Length of answers. [dim](default: 128)[/dim]", WHAT)
    ] = None
    prefix_tokens: Annotated[
        int | None, _option("Of each prompt, what it shares with others.", WHAT)
    ] = None
    num_prefixes: Annotated[int | None, _option("How many different shared heads.", WHAT)] = None
    dataset: Annotated[Path | None, _option("Ask what is in this file instead.", WHAT)] = None
    stream: Annotated[
        bool | None,
        _option("Ask for a stream. [dim](default: yes)[/dim]", WHAT, "--stream/--no-stream"),
    ] = None
    temperature: Annotated[
        float | None, _option("Sampling temperature. [dim](default: 0)[/dim]", WHAT)
    ] = None
    top_p: Annotated[float | None, _option("Nucleus sampling.", WHAT)] = None
    ignore_eos: Annotated[
        bool | None,
        _option(
            "Answers of exactly the length asked for. [dim](default: yes)[/dim]",
            WHAT,
            "--ignore-eos/--no-ignore-eos",
        ),
    ] = None
    extra_body: Annotated[
        str | None, _option("More fields for every request, as a JSON object.", WHAT)
    ] = None
    concurrency: Annotated[
        str | None, _option("Clients of each closed loop: 1,8,32. [dim](default: 8)[/dim]", WHEN)
    ] = None
    request_rate: Annotated[
        str | None, _option("Open loops instead: requests per second, such as 2,4.", WHEN)
    ] = None
    num_requests: Annotated[
        str | None,
        _option("Of each run: 64, or 1:8,8:64 by load. [dim](default: 64)[/dim]", WHEN),
    ] = None
    warmup_requests: Annotated[
        int | None, _option("Requests before each run. [dim](default: 2)[/dim]", WHEN)
    ] = None
    model: Annotated[
        str | None, _option("What to say in `model`. [dim](default: the first served)[/dim]", WHOM)
    ] = None
    tokenizer: Annotated[
        str | None, _option("A checkpoint's folder: for prompts of exact length.", WHOM)
    ] = None
    timeout_s: Annotated[
        float | None,
        _option("Longest time for one request, in s. [dim](default: 600)[/dim]", WHOM, "--timeout"),
    ] = None
    seed: Annotated[
        int | None, _option("Of everything that is drawn. [dim](default: 0)[/dim]", HOW)
    ] = None
    processes: Annotated[int | None, _option("Client processes. [dim](default: 1)[/dim]", HOW)] = (
        None
    )
    slo: Annotated[
        list[str] | None, _option("An objective in ms, such as ttft:200; repeat it.", HOW)
    ] = None


def said(group: Any) -> dict[str, Any]:
    """The options of a group that were given."""
    values = {each.name: getattr(group, each.name) for each in fields(group)}
    return {name: value for name, value in values.items() if value is not None}


def option_name(field: str) -> str:
    """`--prompt-tokens`."""
    return "--timeout" if field == "timeout_s" else f"--{field.replace('_', '-')}"
