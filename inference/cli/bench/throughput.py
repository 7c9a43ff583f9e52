"""`anynode bench throughput`: level after level of concurrent clients, as a parameter file says."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from inference.bench import probe, prometheus
from inference.bench.client.urls import base_url
from inference.bench.plan import Load, RunPlan, Target
from inference.bench.prompts.tokenizer import BenchTokenizer
from inference.bench.report import files, templates
from inference.bench.report.model import Report, ServerReport
from inference.bench.summary import Yardsticks
from inference.bench.throughput.parameters import ROUTES, Parameters, read_parameters
from inference.cli.bench import session
from inference.cli.bench.groups import spread
from inference.cli.bench.levels import Levels, PromptsOf
from inference.cli.bench.options import How, Whom
from serving.errors import ConfigError

TABLE_SUFFIX = ".performance_metrics.csv"

Urls = Annotated[
    list[str] | None,
    typer.Argument(
        help="One URL or several, which take turns. [dim](default: MODEL_ENDPOINTS)[/dim]",
        show_default=False,
    ),
]


@spread
def throughput(*, urls: Urls = None, levels: Levels, whom: Whom, how: How) -> None:
    """Measure level after level of concurrent clients, as parameters.json says.

    A request that fails is counted and the run goes on. With --output, the table of the tool that
    this replaces is in PREFIX.performance_metrics.csv.
    """
    parameters = read_parameters(levels.params) if levels.params else Parameters()
    urls = endpoints(urls, parameters)
    how.check()
    whom = with_parameters(whom, parameters)
    loads = levels.loads(parameters.concurrent_levels)
    check = levels.check(parameters.safe_check)
    tokenizer = BenchTokenizer(whom.tokenizer) if whom.tokenizer else None
    prompts = levels.prompts(parameters, tokenizer, check)
    notes = [*parameters.notes(levels.mode, urls), *levels.notes(whom.tokenizer)]
    print(*(f"note: {note}\n" for note in notes), sep="", end="", file=sys.stderr)
    servers = [probe.server(base, whom.headers()) for base in dict.fromkeys(map(base_url, urls))]
    plan = RunPlan(
        name="throughput",
        target=target(urls, servers, levels, parameters, whom),
        prompts=prompts(how.seed),
        load=loads[0],
        yardsticks=yardsticks(servers, parameters, how),
        processes=how.processes,
        prometheus=how.prometheus,
        safety=check,
    )
    with session.interruptible() as interrupt:
        runs = session.run_all(plans(plan, loads, levels.repeats, prompts, how.seed), interrupt)
    report = session.report(
        "throughput",
        title=f"{servers[0].url}: throughput",
        servers=servers,
        settings=settings(plan, levels, parameters, whom, how),
        runs=sorted(runs, key=lambda run: run.load.concurrency or 0),
    )
    report.notes += [*notes, *prometheus.missing(how.prometheus, runs)]
    session.publish(report, how.output)
    if how.output:
        write_table(report, how.output)


def endpoints(urls: list[str] | None, parameters: Parameters) -> list[str]:
    """Those of the command line, or else the parameter file's. Raises ConfigError for none."""
    found = urls or parameters.model_endpoints
    if not found:
        raise ConfigError("no URL: give one, or MODEL_ENDPOINTS in the file of --params")
    return found


def settings(
    plan: RunPlan, levels: Levels, parameters: Parameters, whom: Whom, how: How
) -> dict[str, Any]:
    """All that was in force, from wherever it came."""
    return {
        **session.settings(levels, whom, how),
        **parameters.published(levels.mode),
        "urls": list(plan.target.urls),
        "model": plan.target.model,
        "safety": str(plan.safety or "none"),
    }


def plans(
    plan: RunPlan,
    loads: Sequence[Load],
    repeats: int,
    prompts: PromptsOf,
    seed: int,
) -> Iterator[RunPlan]:
    """Every level, then every level again: a server's bad minute hits no level in all repeats.

    Each run has prompts of its own: a server may have kept what it knows of the last ones.
    """
    for number, (repeat, load) in enumerate(itertools.product(range(repeats), loads)):
        yield replace(plan, name=load.name, load=load, round=repeat, prompts=prompts(seed + number))


def with_parameters(whom: Whom, parameters: Parameters) -> Whom:
    """The options, or else what the parameter file says."""
    given = whom.header or []
    names = {line.partition(":")[0].strip().lower() for line in given}
    lines = [
        f"{name}: {value}"
        for name, value in parameters.headers().items()
        if name.lower() not in names
    ]
    return replace(
        whom,
        model=whom.model or parameters.model_path,
        header=[*lines, *given],
        tokenizer=whom.tokenizer or parameters.tokenizer_path,
    )


def target(
    urls: Sequence[str],
    servers: Sequence[ServerReport],
    levels: Levels,
    parameters: Parameters,
    whom: Whom,
) -> Target:
    """Whom to ask and how; raises ConfigError if one of the servers does not have the model."""
    model = probe.model_id(servers[0], whom.model)
    for server in servers[1:]:
        probe.model_id(server, model)
    return Target(
        urls=tuple(urls),
        route=ROUTES[levels.mode],
        model=model,
        headers=whom.headers(),
        stream=levels.stream,
        sampling={"temperature": parameters.temperature, "top_p": parameters.top_p},
        timeout_s=whom.timeout_s,
        tokenizer=whom.tokenizer,
    )


def yardsticks(servers: Sequence[ServerReport], parameters: Parameters, how: How) -> Yardsticks:
    """GPUs and cores of all servers together, if each says how many it has. Pure."""
    together = servers[0].model_copy(
        update={
            "num_gpus": _total([server.num_gpus for server in servers]),
            "num_cores": _total([server.num_cores for server in servers]),
        }
    )
    return replace(how.yardsticks(together), threshold_tps=parameters.threshold_tps)


def _total(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def write_table(report: Report, prefix: Path) -> None:
    """The table of the tool that this replaces, beside the other files."""
    path = prefix.with_name(prefix.name + TABLE_SUFFIX)
    try:
        files.write_whole(path, templates.throughput(report).csv())
    except OSError as error:
        raise ConfigError(f"--output: {path} was not written: {error.strerror}") from error
    print(f"wrote {path}", file=sys.stderr)
