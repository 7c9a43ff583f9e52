"""`anynode bench serve`: one load on one server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from inference.bench import prometheus
from inference.bench.arrivals import arrivals
from inference.bench.plan import Arrivals, Load, RunPlan
from inference.bench.prompts.tokenizer import BenchTokenizer
from inference.bench.prompts.traced import TracedPrompts
from inference.bench.record import PromptSource
from inference.bench.trace import Trace, read_trace
from inference.cli.bench import options, session
from inference.cli.bench.groups import spread
from inference.cli.bench.options import How, Whom
from inference.cli.bench.workload import What, refuse_idle
from serving.errors import ConfigError

WHEN = "When to ask"
DEFAULT_CONCURRENCY = 8
DEFAULT_REQUESTS = 64
DEFAULT_BURST = 8

Concurrency = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Clients of a closed loop: each asks again when answered. [dim](default: 8)[/dim]",
        rich_help_panel=WHEN,
    ),
]
RequestRate = Annotated[
    float | None,
    typer.Option(help="An open loop instead: requests per second.", rich_help_panel=WHEN),
]
ArrivalKind = Annotated[
    Literal["poisson", "constant", "burst"] | None,
    typer.Option(
        "--arrivals",
        help="How the requests of --request-rate come. [dim](default: poisson)[/dim]",
        rich_help_panel=WHEN,
    ),
]
BurstSize = Annotated[
    int | None,
    typer.Option(min=1, help="Requests of a burst. [dim](default: 8)[/dim]", rich_help_panel=WHEN),
]
MaxConcurrency = Annotated[
    int | None,
    typer.Option(min=1, help="Most requests of an open loop at once.", rich_help_panel=WHEN),
]
TraceFile = Annotated[
    Path | None,
    typer.Option(help="Replay a trace's times and lengths: .jsonl or .csv.", rich_help_panel=WHEN),
]
TraceSpeed = Annotated[
    float | None, typer.Option(help="2 replays it twice as fast.", rich_help_panel=WHEN)
]
NumRequests = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="End after so many. [dim](default: 64, unless --duration says)[/dim]",
        rich_help_panel=WHEN,
    ),
]
DurationS = Annotated[
    float | None,
    typer.Option("--duration", min=0.001, help="Ask for so many seconds.", rich_help_panel=WHEN),
]
Warmup = Annotated[
    int,
    typer.Option(min=0, help="Requests before the measurement.", rich_help_panel=WHEN),
]


@dataclass(frozen=True)
class When:
    """The load."""

    concurrency: Concurrency = None
    request_rate: RequestRate = None
    arrival_kind: ArrivalKind = None
    burst_size: BurstSize = None
    max_concurrency: MaxConcurrency = None
    trace: TraceFile = None
    trace_speed: TraceSpeed = None
    num_requests: NumRequests = None
    duration_s: DurationS = None
    warmup: Warmup = 2

    def load(self, trace: Trace | None, seed: int) -> Load:
        """A closed loop, unless a rate or a trace is given."""
        self._check()
        num_requests = self.num_requests
        if num_requests is None and self.duration_s is None and trace is None:
            num_requests = DEFAULT_REQUESTS
        due = self._arrivals(trace, seed)
        closed = (self.concurrency or DEFAULT_CONCURRENCY) if due is None else None
        return Load(
            concurrency=closed or self.max_concurrency,
            arrivals=due,
            num_requests=num_requests,
            duration_s=self.duration_s,
            warmup_requests=self.warmup,
        )

    def _arrivals(self, trace: Trace | None, seed: int) -> Arrivals | None:
        if trace is not None:
            return trace.arrivals(1.0 if self.trace_speed is None else self.trace_speed)
        if self.request_rate is None:
            return None
        return arrivals(
            self.arrival_kind or "poisson",
            self.request_rate,
            seed=seed,
            burst_size=self.burst_size or DEFAULT_BURST,
        )

    def _check(self) -> None:
        """Raises ConfigError for options that exclude each other."""
        ways = {
            "--concurrency": self.concurrency,
            "--request-rate": self.request_rate,
            "--trace": self.trace,
        }
        given = [name for name, value in ways.items() if value is not None]
        if len(given) > 1:
            raise ConfigError(f"{given[0]} and {given[1]} exclude each other; leave one out")
        if self.request_rate is None:
            refuse_idle("it is for --request-rate", {"--arrivals": self.arrival_kind})
            if self.trace is None:
                why = "it is for --request-rate and --trace"
                refuse_idle(why, {"--max-concurrency": self.max_concurrency})
        if self.arrival_kind != "burst":
            refuse_idle("it is for --arrivals burst", {"--burst-size": self.burst_size})
        if self.trace is None:
            refuse_idle("it is for --trace", {"--trace-speed": self.trace_speed})


@spread
def serve(url: options.Urls, what: What, when: When, whom: Whom, how: How) -> None:
    """Offer a load to a server and report what its callers saw."""
    how.check()
    trace = read_trace(when.trace) if when.trace else None
    load = when.load(trace, how.seed)
    server = whom.server(url)
    plan = RunPlan(
        name=load.name,
        target=what.target(url, server, whom),
        prompts=_prompts(what, trace, whom, how),
        load=load,
        yardsticks=how.yardsticks(server),
        processes=how.processes,
        prometheus=how.prometheus,
    )
    with session.interruptible() as interrupt:
        runs = session.run_all([plan], interrupt)
    report = session.report(
        "serve",
        title=f"{server.url}: {plan.name}",
        servers=[server],
        settings={**_asked(what, trace), **session.settings(when, whom, how)},
        runs=runs,
    )
    report.notes += prometheus.missing(how.prometheus, runs)
    session.publish(report, how.output)


def _asked(what: What, trace: Trace | None) -> dict[str, Any]:
    """A trace's lengths are its own."""
    return session.settings(what) if trace else what.settings()


def _prompts(what: What, trace: Trace | None, whom: Whom, how: How) -> PromptSource:
    if trace is None:
        return what.prompts(whom.tokenizer, how.seed)
    why = "--trace brings its own lengths"
    refuse_idle(why, {"--dataset": what.dataset, "--output-tokens": what.output_tokens})
    what.refuse_lengths(why)
    tokenizer = BenchTokenizer(whom.tokenizer) if whom.tokenizer else None
    return TracedPrompts(trace, what.route, tokenizer=tokenizer, seed=how.seed)
