"""`python -m bench [tax] [batching] [roofline]`: run the benchmarks named, or all of them.

Prints Markdown: hardware, tables of medians with their range over the rounds, and the ratios that
matter, each taken within one run.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
from collections.abc import Callable

from bench import decoder, hardware, serving_tax, static_batches
from bench.models import random_model
from bench.results import Run, median, ratios, spread
from inference.cli.convert import environment

NUM_THREADS = len(os.sched_getaffinity(0))


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="|".join(BENCHMARKS))
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default 5)")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in BENCHMARKS:
            parser.error(f"there is no benchmark '{name}'; known are {', '.join(BENCHMARKS)}")
    print(f"{datetime.date.today()}, {hardware.describe()}, {NUM_THREADS} threads\n")
    for name in arguments.names or BENCHMARKS:
        BENCHMARKS[name](arguments.rounds)


def tax(rounds: int) -> None:
    """Tables of throughput and TTFT, and their ratios to the engine alone."""
    runs = asyncio.run(
        serving_tax.measure(random_model("110m"), rounds=rounds, num_threads=NUM_THREADS)
    )
    print("## Serving tax\n\nRandom 110 M model, int8; 32 prompt tokens, 128 answer tokens.\n")
    header("concurrency", "arm", "tokens/s", "of engine alone", "TTFT p50 ms", "added ms")
    for concurrency in serving_tax.CONCURRENCY:
        base = runs[serving_tax.Cell(serving_tax.ENGINE, concurrency)]
        for cell, mine in runs.items():
            if cell.concurrency == concurrency:
                row(str(concurrency), cell.arm, *_tax_figures(mine, base))
    print()


def _tax_figures(mine: list[Run], base: list[Run]) -> list[str]:
    speed = [run.tokens_per_s for run in mine]
    share = ratios(speed, [run.tokens_per_s for run in base])
    ttft = [run.ttft_ms() for run in mine]
    added = [each - other.ttft_ms() for each, other in zip(ttft, base, strict=True)]
    return [spread(speed), spread(share), spread(ttft), f"{median(added):.1f}"]


def batching(rounds: int) -> None:
    """Continuous against static batches."""
    runs = asyncio.run(
        static_batches.measure(
            random_model("110m"),
            rounds=rounds,
            num_threads=NUM_THREADS,
            torch_python=environment(),
        )
    )
    ours = runs["continuous"]
    print(
        "## Continuous batching against static batches\n\nRandom 110 M model; 32 clients, answers "
        f"of 16-256 tokens; short ones have up to {static_batches.SHORT_TOKENS}.\n"
    )
    header("arm", "tokens/s", "continuous is", "short p95 s", "continuous is")
    for name, theirs in runs.items():
        speeds = [run.tokens_per_s for run in theirs]
        waits = [static_batches.short_p95_s(run) for run in theirs]
        faster = ratios([run.tokens_per_s for run in ours], speeds)
        sooner = ratios(waits, [static_batches.short_p95_s(run) for run in ours])
        row(
            name,
            spread(speeds),
            f"{spread(faster)}x faster",
            spread(waits),
            f"{spread(sooner)}x sooner",
        )
    print()


def roofline(rounds: int) -> None:
    """The decoder against the speed of memory."""
    model = random_model("1b")
    samples = decoder.measure(model, rounds=rounds, num_threads=NUM_THREADS)
    step_bytes = decoder.weight_bytes(model)
    bandwidths = [each.bytes_per_s / 1e9 for taken in samples.values() for each in taken]
    print(
        f"## Decoding against the memory roofline\n\nRandom 1.1 B model, int8: "
        f"{step_bytes / 1e6:,.0f} MB of weights a step, {decoder.PROMPT_TOKENS} tokens of context; "
        f"memory reads {spread(bandwidths)} GB/s.\n"
    )
    header("what", "tokens/s", "of the roofline")
    for name, taken in samples.items():
        batch = int(name.partition(" ")[2] or 0)
        shares = [each.tokens_per_s * step_bytes / each.bytes_per_s for each in taken]
        share = spread([each / batch for each in shares]) if batch else "-"
        row(name, spread([each.tokens_per_s for each in taken]), share)
    print()


def header(*names: str) -> None:
    row(*names)
    row(*("---" for _ in names))


def row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


BENCHMARKS: dict[str, Callable[[int], None]] = {
    "tax": tax,
    "batching": batching,
    "roofline": roofline,
}

if __name__ == "__main__":
    main()
