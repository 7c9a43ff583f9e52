"""`anynode bench engines`: every engine that can run a model here, in turns; `auto` goes by it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from inference.bench import engine_arms
from inference.bench.compare import config as comparison_config
from inference.bench.compare.plans import Plans
from inference.cli.bench import options, session
from inference.cli.bench.compare import measure
from inference.local.engine_environments import is_here
from serving.cpu.engine_speeds import EngineSpeeds, write_speeds
from serving.cpu.processor import this_processor
from serving.errors import ConfigError
from serving.model_source import fetch_model

CONCURRENCY = "1,8"
MAX_MODEL_LEN = 512

Model = Annotated[str, typer.Argument(help="A model's folder, with what engines load of it.")]
Concurrency = Annotated[str, typer.Option(help="Requests at once, for example 1,8,32.")]
Rounds = Annotated[int, typer.Option(min=1, help="Turns of every engine that count.")]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Of every engine. [dim](default: all CPUs)[/dim]")
]


def engines(
    model: Model,
    concurrency: Concurrency = CONCURRENCY,
    rounds: Rounds = 3,
    num_threads: Threads = None,
    output: options.Output = None,
) -> None:
    """Measure the engines that can run MODEL on this machine, and keep the figures beside it.

    Engines need what `anynode convert` makes for them, and their environments (`make NAME`).
    """
    folder = fetch_model(model, token=os.environ.get("HF_TOKEN"))
    arms = engine_arms.find_arms(folder, is_here)
    if len(arms) < 2:
        there = arms[0].name if arms else "none"
        raise ConfigError(
            f"of the engines that can run {folder} here there is {there}, and a comparison needs "
            f"two: make others with `anynode convert {folder} --engine …` or `make transformers`"
        )
    threads = num_threads or len(os.sched_getaffinity(0))
    content = engine_arms.comparison(
        folder,
        arms,
        concurrency=_numbers(concurrency),
        rounds=rounds,
        num_threads=threads,
        max_model_len=MAX_MODEL_LEN,
    )
    config = comparison_config.checked(content, lambda place: f"bench engines: {place}")
    report = measure(config, [], {})
    session.publish(report, output)
    points = {
        point.name: number
        for point, number in zip(Plans(config.load, {}).points, _numbers(concurrency), strict=True)
    }
    path = write_speeds(
        folder,
        EngineSpeeds(
            processor=this_processor().model,
            num_threads=threads,
            measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
            speeds=engine_arms.speeds(arms, report.runs, points),
        ),
    )
    typer.echo(f"wrote {path}: `engine: auto` goes by it on this kind of CPU", err=True)


def _numbers(concurrency: str) -> list[int]:
    try:
        return sorted({int(each) for each in concurrency.split(",")})
    except ValueError as error:
        raise ConfigError(
            f"--concurrency: '{concurrency}' is no list of numbers such as {CONCURRENCY}"
        ) from error
