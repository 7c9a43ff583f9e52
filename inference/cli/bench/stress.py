"""`anynode bench stress`: N clients that chat until told to stop, with statistics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from inference.bench import prometheus
from inference.bench.plan import Load, RunPlan, Target
from inference.bench.probe import model_id
from inference.bench.prompts.short_chats import ShortChats
from inference.cli.bench import options, session
from inference.cli.bench.groups import spread
from inference.cli.bench.options import How, Whom

# Longer ones become several runs: what a run remembers of its requests would grow for days.
LONGEST_RUN_S = 600.0

Clients = Annotated[
    int, typer.Argument(min=1, metavar="N", help="Clients; each asks again when answered.")
]
DurationS = Annotated[
    float | None,
    typer.Option(
        "--duration",
        min=0.001,
        help="End after so many seconds. [dim](default: at Ctrl-C)[/dim]",
        show_default=False,
        rich_help_panel="When to ask",
    ),
]
OutputTokens = Annotated[
    int, typer.Option(min=1, help="Most tokens of an answer.", rich_help_panel="What to ask")
]


@dataclass(frozen=True)
class Stress:
    """How hard and how long."""

    duration_s: DurationS = None
    output_tokens: OutputTokens = 128


@spread
def stress(url: options.Urls, concurrency: Clients, stress: Stress, whom: Whom, how: How) -> None:
    """Keep N clients chatting until Ctrl-C, then report; a request that fails is counted.

    Runs of more than ten minutes are reported in rounds of ten minutes.
    """
    how.check()
    server = whom.server(url)
    target = Target(
        urls=tuple(url),
        model=model_id(server, whom.model),
        headers=whom.headers(),
        timeout_s=whom.timeout_s,
        tokenizer=whom.tokenizer,
    )
    plans = (
        RunPlan(
            name=load.name,
            target=target,
            prompts=ShortChats(stress.output_tokens, how.seed),
            load=load,
            yardsticks=how.yardsticks(server),
            round=index,
            processes=how.processes,
            prometheus=how.prometheus,
        )
        for index, load in enumerate(loads(concurrency, stress.duration_s))
    )
    with session.interruptible() as interrupt:
        runs = session.run_all(plans, interrupt)
    report = session.report(
        "stress",
        title=f"{server.url}: {concurrency} clients",
        servers=[server],
        settings={"concurrency": concurrency, **session.settings(stress, whom, how)},
        runs=runs,
    )
    report.notes += prometheus.missing(how.prometheus, runs)
    session.publish(report, how.output)


def loads(concurrency: int, whole_s: float | None) -> Iterator[Load]:
    """Of each run, together `whole_s` seconds; endless if that is None. Pure."""
    left_s = whole_s
    while left_s is None or left_s > 0:
        duration_s = LONGEST_RUN_S if left_s is None else min(LONGEST_RUN_S, left_s)
        yield Load(concurrency=concurrency, duration_s=duration_s)
        left_s = None if left_s is None else left_s - LONGEST_RUN_S
