"""`python -m bench.cpu`: engines of ours over HTTP against their peers, on this machine's CPU.

Prints Markdown: the hardware, medians with their range over the rounds, shares of the roofline, and
which goals are met. What was measured is kept, and `--table FILE` makes the tables of it again.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.cpu import arms, roofline, rounds, table
from bench.cpu.results import Results
from bench.models import CACHE, ROOT, random_checkpoint
from inference.bench import environment

INTERRUPTED = 130  # as a shell says it of Ctrl-C


@dataclass(frozen=True, slots=True)
class Shape:
    """A model of random weights, and answers long enough to be measured."""

    title: str
    answer_tokens: int


SHAPES = {
    "110m": Shape("110 M parameters, random", 128),
    "1b": Shape("1.1 B parameters, random", 64),
}


def main() -> None:
    arguments = options()
    if arguments.table:
        for path in arguments.table:
            show(Results.model_validate_json(path.read_text()))
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    prefix = (arguments.output or CACHE / "cpu" / "results").resolve()
    prefix.parent.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)  # where servers find us, and paths of models begin
    for shape in [arguments.shape] if arguments.shape else SHAPES:
        measure(shape, arguments, prefix.with_name(f"{prefix.name}-{shape}.json"))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.cpu", description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, help="one model only")
    names = [*arms.GROUPS, *arms.ARMS]
    parser.add_argument(
        "--arms", nargs="+", choices=names, default=["all"], metavar="NAME", help=", ".join(names)
    )
    parser.add_argument("--concurrency", type=positive, nargs="+", default=[1, 8, 32])
    parser.add_argument("--rounds", type=positive, default=3, help="(default 3)")
    parser.add_argument("--output", type=Path, help="prefix of what was measured (JSON)")
    parser.add_argument("--table", type=Path, nargs="+", help="show what these files hold")
    return parser.parse_args()


def positive(text: str) -> int:
    """Raises ValueError, which argparse turns into its own words."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


def measure(shape: str, arguments: argparse.Namespace, path: Path) -> None:
    """Measures a shape and shows it, also what there is of it after an interrupt."""
    model = random_checkpoint(shape).relative_to(ROOT)
    chosen = arms.chosen(arguments.arms)
    results = Results(
        shape=shape,
        created_at=datetime.now(UTC),
        command=["python", "-m", "bench.cpu", *sys.argv[1:]],
        environment=environment.describe(),
        num_threads=len(os.sched_getaffinity(0)),
        rounds=arguments.rounds,
        concurrency=sorted(set(arguments.concurrency)),
        arms=[arm.name for arm in chosen],
        size=roofline.model_size(model),
    )

    def save(results: Results) -> None:
        path.write_text(results.model_dump_json(indent=1) + "\n")

    try:
        rounds.measure(results, model, chosen, SHAPES[shape].answer_tokens, save)
    except KeyboardInterrupt:
        show(results)
        sys.exit(INTERRUPTED)
    show(results)
    print(f"wrote {path}", file=sys.stderr)


def show(results: Results) -> None:
    for line in table.lines(results, SHAPES[results.shape].title):
        print(line, flush=True)


if __name__ == "__main__":
    main()
