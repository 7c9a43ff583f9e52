"""The arms in turns, each alone on the machine, all loads of a round in one go.

What was measured is written down after every arm, so that whoever interrupts keeps it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench.cpu import roofline, weights
from bench.cpu.arms import ARMS, Arm, Serve, in_turn
from bench.cpu.asking import Ask, running, taken
from bench.cpu.commands import Room
from bench.cpu.loads import FIRST_TOKEN, Load, loads
from bench.cpu.results import Ceiling, Results, Run
from inference.local.engine_environments import CACHE
from serving.cpu.auto_engine import AUTO, LIBRARIES, Choice
from serving.cpu.engine_speeds import EngineSpeed, EngineSpeeds, write_speeds
from serving.cpu.processor import this_processor
from serving.errors import ConfigError

MADE_WHEN_NEEDED = {None, "convert"}  # environments that no `make` is needed for
LOSSES = (ConfigError, OSError, subprocess.CalledProcessError)


def missing(arms: Iterable[Arm]) -> dict[str, str]:
    """The arms whose environment is not there, each with the command that makes it."""
    return {
        arm.name: f"make {arm.environment}"
        for arm in arms
        if arm.environment not in MADE_WHEN_NEEDED
        and not (CACHE / str(arm.environment) / "installed.txt").is_file()
    }


def measure(
    results: Results,
    model: Path,
    arms: Sequence[Arm],
    answer_tokens: int,
    save: Callable[[Results], None],
) -> None:
    """Fills `results` in; `save` is given them whenever there is more."""
    results.missing = missing(arms)
    here = [arm for arm in arms if arm.name not in results.missing]
    for arm in here:  # before anything is measured: a conversion takes all of the machine
        with _losing(results, arm):
            weights.ready(model, arm.weights)
    save(results)
    for number in range(1, results.rounds + 1):
        for arm in in_turn(here, number):
            if arm.name not in results.lost:
                print(f"{datetime.now():%H:%M:%S} round {number}: {arm.name}", file=sys.stderr)
                with _losing(results, arm):
                    _turn(results, model, arm, number, answer_tokens)
                save(results)


@contextmanager
def _losing(results: Results, arm: Arm) -> Iterator[None]:
    """An arm that fails is not asked again, and the others go on."""
    try:
        yield
    except LOSSES as error:
        results.lost[arm.name] = str(error)
        print(f"lost: {arm.name}, {error}", file=sys.stderr)


def _turn(results: Results, model: Path, arm: Arm, number: int, answer_tokens: int) -> None:
    """One round of one arm."""
    planned = list(loads(results.concurrency, answer_tokens, number))
    if arm.name == AUTO:
        write_speeds(model, measured_speeds(results))
    for together in arm.starts(results.concurrency):
        bytes_per_s, ops_per_s = roofline.measure(results.num_threads)
        results.ceilings.append(
            Ceiling(
                arm=arm.name,
                round=number,
                concurrency=together,
                bytes_per_s=bytes_per_s,
                int8_ops_per_s=ops_per_s,
            )
        )
        if isinstance(arm.run, Serve) and arm.run.engine == AUTO:
            choice = taken(arm.run, model, max(together))
            results.choices.append(in_words(choice, number, max(together)))
        room = Room(results.num_threads, max(together), this_processor().vendor)
        with running(arm, model, weights.ready(model, arm.weights), room) as ask:
            asked = [load for load in planned if load.concurrency in together]
            results.runs += ask_all(ask, asked, arm.name, number)


def ask_all(ask: Ask, asked: Iterable[Load], arm: str, number: int) -> list[Run]:
    """One load after the other; those that do not count are left out."""
    runs = []
    for load in asked:
        answered = ask(load)
        if load.counts:
            runs.append(
                Run(
                    arm=arm,
                    round=number,
                    concurrency=load.concurrency,
                    answer_tokens=load.answer_tokens,
                    prompt_tokens=answered.prompt_tokens,
                    output_tokens=answered.output_tokens,
                    duration_s=answered.duration_s,
                    ttft_ms=answered.ttft_ms,
                )
            )
    return runs


def measured_speeds(results: Results) -> EngineSpeeds:
    """What `anynode bench engines` would have found, by what was measured until now."""
    return EngineSpeeds(
        processor=this_processor().model,
        num_threads=results.num_threads,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        speeds=speeds(results),
    )


def speeds(results: Results) -> tuple[EngineSpeed, ...]:
    """Medians of whole answers' tokens/s, of the engines that `auto` chooses among. Pure."""
    found = []
    for arm in (ARMS[name] for name in results.arms):
        if not isinstance(arm.run, Serve) or arm.run.engine not in LIBRARIES:
            continue
        by_concurrency: dict[int, list[float]] = {}
        for run in results.runs:
            if run.arm == arm.name and run.answer_tokens != FIRST_TOKEN:
                rate = run.output_tokens / run.duration_s
                by_concurrency.setdefault(run.concurrency, []).append(rate)
        medians = {each: statistics.median(rates) for each, rates in by_concurrency.items()}
        found.append(EngineSpeed(arm.run.engine, arm.run.data_type or "auto", medians))
    return tuple(found)


def in_words(choice: Choice, number: int, concurrency: int) -> str:
    """What `auto` is going to take, and why. Pure."""
    name = f"{choice.engine} {choice.data_type or ''}".strip()
    return f"round {number}, {concurrency} at once: auto takes {name} ({choice.reason})"
