"""`anynode bench sweep`: higher and higher loads on one server, and where more stops paying."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from inference.bench import prometheus
from inference.bench.arrivals import arrivals
from inference.bench.knee import knee, why_stop
from inference.bench.plan import Arrivals, Interrupt, Load, RunPlan
from inference.bench.report.model import RunReport
from inference.cli.bench import options, session
from inference.cli.bench.groups import spread
from inference.cli.bench.options import How, Whom
from inference.cli.bench.serve import WHEN, Warmup
from inference.cli.bench.workload import What
from serving.errors import ConfigError

DEFAULT_MAX_CONCURRENCY = 256
DEFAULT_DURATION_S = 20.0
LEAST_PER_CLIENT = 2  # requests: with fewer, a load is over before all its clients are busy

MaxConcurrency = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="The last of 1, 2, 4 … clients; with --rates, most requests at once. "
        "[dim](default: 256; with --rates, no limit)[/dim]",
        show_default=False,
        rich_help_panel=WHEN,
    ),
]
Rates = Annotated[
    str | None,
    typer.Option(
        help="An open loop instead, at each of these requests per second: 1,2,4,8.",
        rich_help_panel=WHEN,
    ),
]
ArrivalKind = Annotated[
    Literal["poisson", "constant"] | None,
    typer.Option(
        "--arrivals",
        help="How the requests of --rates come. [dim](default: poisson)[/dim]",
        show_default=False,
        rich_help_panel=WHEN,
    ),
]
NumRequests = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="End each load after so many, but no client before its second.",
        rich_help_panel=WHEN,
    ),
]
DurationS = Annotated[
    float | None,
    typer.Option(
        "--duration",
        min=0.001,
        help="Offer each load for so many seconds. "
        "[dim](default: 20, unless --num-requests says)[/dim]",
        show_default=False,
        rich_help_panel=WHEN,
    ),
]


@dataclass(frozen=True)
class Loads:
    """What to try, from the lowest load to the highest."""

    max_concurrency: MaxConcurrency = None
    rates: Rates = None
    arrival_kind: ArrivalKind = None
    num_requests: NumRequests = None
    duration_s: DurationS = None
    warmup: Warmup = 2

    def loads(self, seed: int) -> list[Load]:
        """From the lowest to the highest. Raises ConfigError."""
        if self.rates is None:
            if self.arrival_kind is not None:
                raise ConfigError("--arrivals: it is for --rates; clients ask when answered")
            counts = concurrencies(self.max_concurrency or DEFAULT_MAX_CONCURRENCY)
            return [self._load(count) for count in counts]
        kind = self.arrival_kind or "poisson"
        return [
            self._load(self.max_concurrency, arrivals(kind, rate, seed=seed))
            for rate in parse_rates(self.rates)
        ]

    def _load(self, concurrency: int | None, due: Arrivals | None = None) -> Load:
        num_requests = self.num_requests
        if num_requests is not None and due is None and concurrency is not None:
            num_requests = max(num_requests, LEAST_PER_CLIENT * concurrency)
        endless = num_requests is None and self.duration_s is None
        return Load(
            concurrency=concurrency,
            arrivals=due,
            num_requests=num_requests,
            duration_s=DEFAULT_DURATION_S if endless else self.duration_s,
            warmup_requests=self.warmup,
        )


@spread
def sweep(url: options.Urls, what: What, loads: Loads, whom: Whom, how: How) -> None:
    """Raise the load until it no longer pays, and say where that is.

    It ends when throughput no longer grows, when requests fail, or when the objectives are missed.
    """
    how.check()
    tried = loads.loads(how.seed)
    server = whom.server(url)
    target = what.target(url, server, whom)
    plans = (
        RunPlan(
            name=load.name,
            target=target,
            # Other prompts for each load: a server may have kept what it knows of the last ones.
            prompts=what.prompts(whom.tokenizer, how.seed + index),
            load=load,
            yardsticks=how.yardsticks(server),
            processes=how.processes,
            prometheus=how.prometheus,
        )
        for index, load in enumerate(tried)
    )
    with session.interruptible() as interrupt:
        runs = list(climb(plans, interrupt))
    report = session.report(
        "sweep",
        title=f"{server.url}: sweep",
        servers=[server],
        settings={**what.settings(), **session.settings(loads, whom, how)},
        runs=runs,
    )
    report.knee = knee(runs)
    report.notes += ending(runs)
    report.notes += prometheus.missing(how.prometheus, runs)
    session.publish(report, how.output)


def climb(plans: Iterable[RunPlan], interrupt: Interrupt) -> Iterator[RunReport]:
    """One run after the other, until the next one is not worth its time."""
    runs: list[RunReport] = []
    for plan in plans:
        runs += session.run_all([plan], interrupt)
        yield runs[-1]
        if interrupt.requested or why_stop(runs):
            return


def ending(runs: list[RunReport]) -> list[str]:
    """Why the sweep went no further, for the report. Pure."""
    last = runs[-1]
    if last.interrupted:
        return []
    why = why_stop(runs)
    if why is not None:
        return [f"The sweep ended at {last.name}: {why}."]
    return [f"{last.name} was the highest load, and not too much: the knee may lie beyond."]


def concurrencies(most: int) -> list[int]:
    """1, 2, 4 … and `most` itself. Pure."""
    powers = [1 << power for power in range(most.bit_length())]
    return powers if powers[-1] == most else [*powers, most]


def parse_rates(text: str) -> list[float]:
    """`1,2,4` as numbers, from the lowest. Pure; raises ConfigError naming --rates."""
    rates = []
    for part in text.split(","):
        try:
            rate = float(part)
        except ValueError:
            rate = math.nan
        if not 0 < rate < math.inf:
            raise ConfigError(
                f"--rates: {part.strip()!r} is no rate; give requests per second, such as 1,2,4"
            )
        rates.append(rate)
    return sorted(set(rates))
