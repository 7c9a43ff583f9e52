"""`python -m bench [tax] [batching] [roofline] …`: run the benchmarks named, or all of them.

Prints Markdown: hardware, medians with their range over the rounds, and the ratios that matter,
each taken within one run. All but the roofline and the drafts are made with `anynode bench`'s own
parts, whose full reports `--output` keeps.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench import client_capacity, decoder, scaling, serving_tax, speculation, static_batches
from bench.models import random_model
from bench.results import ratios, spread
from inference.bench import environment
from inference.bench.report import files, sections
from inference.bench.report.model import Comparison, Report, RunReport
from inference.cli.convert import environment as convert_environment
from serving.conversion.converters import CONVERTERS
from serving.conversion.manifest import converted_folder

NUM_THREADS = len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Order:
    """What the command line asks of every benchmark."""

    rounds: int
    output: Path | None  # a prefix, to which each benchmark adds its name

    def keep(self, name: str, runs: list[RunReport], comparison: Comparison | None = None) -> None:
        """Write the full report, if asked for."""
        if self.output is None:
            return
        report = Report(
            kind="compare" if comparison else "serve",
            title=f"make bench: {name}",
            created_at=datetime.now(UTC),
            command=["python", "-m", "bench", name, "--rounds", str(self.rounds)],
            environment=environment.describe(),
            servers=[],
            settings={"rounds": self.rounds},
            runs=runs,
            comparison=comparison,
        )
        files.write(report, self.output.with_name(f"{self.output.name}-{name}"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="|".join(BENCHMARKS))
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default 5)")
    parser.add_argument("--output", type=Path, help="prefix of full reports (JSON, HTML, …)")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in BENCHMARKS:
            parser.error(f"there is no benchmark '{name}'; known are {', '.join(BENCHMARKS)}")
    print(f"{datetime.now(UTC):%Y-%m-%d}, {sections.machine(environment.describe())}\n")
    for name in arguments.names or BENCHMARKS:
        BENCHMARKS[name](Order(arguments.rounds, arguments.output))


def tax(order: Order) -> None:
    """Tables of throughput and TTFT, and their ratios to the engine alone."""
    runs, comparison = serving_tax.measure(
        random_model("110m"), rounds=order.rounds, num_threads=NUM_THREADS
    )
    order.keep("tax", runs, comparison)
    print("## Serving tax\n\nRandom 110 M model, int8; 32 prompt tokens, 128 answer tokens.\n")
    header("load", "arm", "tokens/s", "of engine alone", "TTFT p50 ms", "added ms")
    for point in dict.fromkeys(run.name for run in runs):
        base = _of(runs, serving_tax.ENGINE, point)
        for arm in serving_tax.ARMS:
            row(point, arm, *_tax_figures(_of(runs, arm, point), base))
    for gate in comparison.gates:
        print(f"\n{gate.gate}, {gate.run}: {gate.verdict} ({gate.reason})")
    print()


def _of(runs: Sequence[RunReport], arm: str, point: str) -> list[RunReport]:
    return [run for run in runs if (run.arm, run.name) == (arm, point)]


def _tax_figures(mine: list[RunReport], base: list[RunReport]) -> list[str]:
    ttft = _ttft_ms(mine)
    added = [own - other for own, other in zip(ttft, _ttft_ms(base), strict=True)]
    share = ratios(_tokens_per_s(mine), _tokens_per_s(base))
    middle = f"{statistics.median(added):.1f}"
    return [spread(_tokens_per_s(mine)), spread(share), spread(ttft), middle]


def _tokens_per_s(runs: Sequence[RunReport]) -> list[float]:
    return [run.throughput.output_tokens_per_s for run in runs]


def _ttft_ms(runs: Sequence[RunReport]) -> list[float]:
    return [run.ttft_ms.p50 for run in runs if run.ttft_ms]


def replicas(order: Order) -> None:
    """One to eight paced replicas behind one URL."""
    runs = scaling.measure(order.rounds)
    order.keep("replicas", [run for each in runs.values() for run in each])
    limit = runs.pop("limit")
    base = _tokens_per_s(runs["1"])
    print(
        f"## Replicas behind one URL\n\nPaced echo replicas, {scaling.STREAMS} streams of "
        f"{scaling.TOKENS_PER_S:g} tokens/s each, through HAProxy.\n"
    )
    header("replicas", "tokens/s", "of linear", "TTFT p95 ms", "client's share of a core")
    for count, mine in runs.items():
        linear = [each / int(count) for each in ratios(_tokens_per_s(mine), base)]
        ttft = spread([run.ttft_ms.p95 for run in mine if run.ttft_ms])
        row(count, spread(_tokens_per_s(mine)), spread(linear), ttft, _client_share(mine))
    streams = scaling.LIMIT_STREAMS * int(count)
    print(
        f"\nThe limit of this machine's HTTP path: of {streams} streams that could give "
        f"{streams * scaling.TOKENS_PER_S:,.0f} tokens/s came {spread(_tokens_per_s(limit))}.\n"
    )


def _client_share(runs: Sequence[RunReport]) -> str:
    return spread([run.client.cpu_share for run in runs if run.client])


def client(order: Order) -> None:
    """What one client process can hear."""
    runs = client_capacity.measure(order.rounds)
    order.keep("client", runs)
    reports = [run.client for run in runs if run.client]
    costs = [each.cpu_us_per_event for each in reports if each.cpu_us_per_event]
    print("## The client's own cost\n")
    header("streams at once", "events/s", "CPU per event, us", "share of a core", "p99 lag ms")
    row(
        str(max(each.peak_in_flight for each in reports)),
        spread([each.events_per_s for each in reports]),
        spread(costs),
        _client_share(runs),
        spread([each.loop_lag_p99_ms for each in reports]),
    )
    print()


def batching(order: Order) -> None:
    """Continuous against static batches."""
    runs = asyncio.run(
        static_batches.measure(
            random_model("110m"),
            rounds=order.rounds,
            num_threads=NUM_THREADS,
            torch_python=convert_environment(CONVERTERS["onnx"]),
        )
    )
    speeds = {name: list(map(static_batches.tokens_per_s, mine)) for name, mine in runs.items()}
    waits = {name: list(map(static_batches.short_p95_s, mine)) for name, mine in runs.items()}
    ours = static_batches.CONTINUOUS
    print(
        "## Continuous batching against static batches\n\nRandom 110 M model; 32 clients, answers "
        f"of 16-256 tokens; short ones have up to {static_batches.SHORT_TOKENS}.\n"
    )
    header("arm", "tokens/s", "continuous is", "short p95 s", "continuous is")
    for name in runs:
        faster = f"{spread(ratios(speeds[ours], speeds[name]))}x faster"
        sooner = f"{spread(ratios(waits[name], waits[ours]))}x sooner"
        row(name, spread(speeds[name]), faster, spread(waits[name]), sooner)
    print()


def roofline(order: Order) -> None:
    """The decoder against the speed of memory, with our own kernels and without."""
    print(
        "## Decoding against the memory roofline\n\nRandom 1.1 B model; "
        f"{decoder.PROMPT_TOKENS} tokens of prompt and context.\n"
    )
    for data_type in ("int8", "int4"):
        folder = converted_folder(random_model("1b", data_type), "onnx", data_type)
        samples = decoder.measure(folder, rounds=order.rounds, num_threads=NUM_THREADS)
        _roofline_table(data_type, samples, decoder.weight_bytes(folder))


def _roofline_table(
    data_type: str, samples: Mapping[str, Mapping[str, list[decoder.Sample]]], step_bytes: int
) -> None:
    every = [each for cases in samples.values() for taken in cases.values() for each in taken]
    bandwidths = spread([each.bytes_per_s / 1e9 for each in every])
    print(f"{data_type}: {step_bytes / 1e6:,.0f} MB a step; memory reads {bandwidths} GB/s.\n")
    header("what", "kernels", "tokens/s", "of the roofline", "of ONNX Runtime's")
    for name in samples[decoder.OWN]:
        batch = int(name.partition(" ")[2] or 0)
        others = [each.tokens_per_s for each in samples[decoder.ONNX_RUNTIME][name]]
        for kernels, cases in samples.items():
            speeds = [each.tokens_per_s for each in cases[name]]
            steps = [each.tokens_per_s * step_bytes / each.bytes_per_s for each in cases[name]]
            share = spread([each / batch for each in steps]) if batch else "-"
            row(name, kernels, spread(speeds), share, spread(ratios(speeds, others)))
    print()


def drafts(order: Order) -> None:
    """One sequence with and without speculation."""
    model = random_model("1b")
    answers = speculation.measure(model, rounds=order.rounds, num_threads=NUM_THREADS)
    step_bytes = decoder.weight_bytes(converted_folder(model, "onnx"))
    print(
        f"## Speculation\n\nRandom 1.1 B model, int8; one sequence, {speculation.PROMPT_TOKENS} "
        f"prompt tokens, {speculation.ANSWER_TOKENS} answer tokens.\n"
    )
    header("the text", "arm", "tokens/s", "of the roofline", "of decoded", "drafts right")
    for (text, arm), mine in answers.items():
        speeds = [each.sample.tokens_per_s for each in mine]
        plain = [each.sample.tokens_per_s for each in answers[text, speculation.PLAIN]]
        shares = [each.sample.tokens_per_s * step_bytes / each.sample.bytes_per_s for each in mine]
        drafted = sum(each.num_draft_tokens for each in mine)
        right = sum(each.num_accepted_tokens for each in mine)
        share = f"{right} of {drafted}" if arm == speculation.DRAFTS else "-"
        row(text, arm, spread(speeds), spread(shares), spread(ratios(speeds, plain)), share)
    print()


def header(*names: str) -> None:
    row(*names)
    row(*("---" for _ in names))


def row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


BENCHMARKS: dict[str, Callable[[Order], None]] = {
    "tax": tax,
    "replicas": replicas,
    "client": client,
    "batching": batching,
    "roofline": roofline,
    "drafts": drafts,
}

if __name__ == "__main__":
    main()
