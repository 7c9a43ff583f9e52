"""The options that several bench commands share: whom to ask, how to measure, where results go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from inference.bench import probe, prometheus
from inference.bench.report import files
from inference.bench.report.model import ServerReport
from inference.bench.summary import Yardsticks
from serving.errors import ConfigError

WHOM = "Whom to ask"
HOW = "How to measure"
WHERE = "Where results go"

Url = Annotated[str, typer.Argument(help="http://host:port, with the application's prefix if any.")]
Urls = Annotated[list[str], typer.Argument(help="One URL or several, which take turns.")]

Model = Annotated[
    str | None,
    typer.Option(
        help="What to say in `model`. [dim](default: the first served)[/dim]",
        rich_help_panel=WHOM,
    ),
]
Header = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        help="A header for every request, 'Name: value'. Keys belong into ANYNODE_API_KEY.",
        rich_help_panel=WHOM,
    ),
]
Tokenizer = Annotated[
    str | None,
    typer.Option(
        help="A checkpoint's folder: for prompts of exact length and servers that count nothing.",
        rich_help_panel=WHOM,
    ),
]
TimeoutS = Annotated[
    float,
    typer.Option(
        "--timeout", min=0.001, help="Longest time for one request, in s.", rich_help_panel=WHOM
    ),
]
Seed = Annotated[int, typer.Option(help="Of everything that is drawn.", rich_help_panel=HOW)]
Processes = Annotated[
    int, typer.Option(min=1, help="Client processes, for very fast servers.", rich_help_panel=HOW)
]
Gpus = Annotated[
    int | None,
    typer.Option(min=1, help="The server's GPUs, if it does not say.", rich_help_panel=HOW),
]
Cores = Annotated[
    int | None,
    typer.Option(min=1, help="The server's CPU cores, if it does not say.", rich_help_panel=HOW),
]
Prometheus = Annotated[
    str | None,
    typer.Option(help="Prometheus' URL: shows what nodes and GPUs did.", rich_help_panel=HOW),
]
Slo = Annotated[
    list[str] | None,
    typer.Option(
        help="An objective in ms, such as ttft:200 or tpot:50; repeat it. Gives goodput.",
        rich_help_panel=HOW,
    ),
]
Fact = Annotated[
    list[str] | None,
    typer.Option(
        help="What else a report should say, NAME=VALUE: provider=…, workers=4; repeat it.",
        rich_help_panel=WHERE,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Write PREFIX.json, .md, .csv and .html.",
        metavar="PREFIX",
        rich_help_panel=WHERE,
    ),
]

KEY_VARIABLES = ("ANYNODE_API_KEY", "OPENAI_API_KEY")
OBJECTIVES = ("ttft", "tpot", "itl", "e2el")


@dataclass(frozen=True)
class Whom:
    """The server, as far as all commands need to know it."""

    model: Model = None
    header: Header = None
    tokenizer: Tokenizer = None
    timeout_s: TimeoutS = 600.0

    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return headers(self.header)

    def server(self, urls: list[str]) -> ServerReport:
        """What the first URL says of itself; raises ConfigError if nothing answers there."""
        return probe.server(urls[0], self.headers())


@dataclass(frozen=True)
class How:
    """The measurement."""

    seed: Seed = 0
    processes: Processes = 1
    gpus: Gpus = None
    cores: Cores = None
    prometheus: Prometheus = None
    slo: Slo = None
    fact: Fact = None
    output: Output = None

    def __post_init__(self) -> None:
        for each in self.fact or []:
            name, equals, _ = each.partition("=")
            if not equals or not name:
                raise ConfigError(f"--fact: {each!r} is not NAME=VALUE, such as workers=4")

    def check(self) -> None:
        """Before a run: raises ConfigError if results cannot be written or Prometheus not asked."""
        if self.output:
            files.check_writable(self.output)
        if self.prometheus:
            prometheus.check(self.prometheus)

    def yardsticks(self, server: ServerReport) -> Yardsticks:
        """Options go before what the server says."""
        return Yardsticks(
            num_gpus=self.gpus or server.num_gpus,
            num_cores=self.cores or server.num_cores,
            objectives_ms=objectives(self.slo),
        )


def headers(given: list[str] | None) -> dict[str, str]:
    """Headers as given, and the API key of the environment where none of them is one."""
    found: dict[str, str] = {}
    for each in given or []:
        name, colon, value = each.partition(":")
        if not colon or not name.strip():
            raise ConfigError(f"--header: {each!r} is not of the form 'Name: value'")
        found[name.strip()] = value.strip()
    key = next((os.environ[name] for name in KEY_VARIABLES if os.environ.get(name)), None)
    if key and not any(name.lower() == "authorization" for name in found):
        found["Authorization"] = f"Bearer {key.partition(',')[0]}"
    return found


def objectives(given: list[str] | None) -> dict[str, float]:
    """`ttft:200` and its kind, in milliseconds."""
    found: dict[str, float] = {}
    for each in given or []:
        name, _, value = each.partition(":")
        if name not in OBJECTIVES or not _is_positive(value):
            known = ", ".join(OBJECTIVES)
            raise ConfigError(f"--slo: {each!r} is not NAME:MILLISECONDS with one of {known}")
        found[name] = float(value)
    return found


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False
