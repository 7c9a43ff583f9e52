"""Figures of an arm, each by the number of its round, so that ratios are taken within rounds. Pure.

At each concurrency there are two runs (see `loads`). The first, of one token, gives prefill; what
the second took longer was spent on its further tokens.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from bench.cpu import roofline
from bench.cpu.loads import FIRST_TOKEN
from bench.cpu.results import Ceiling, Results, Run

Metric = Literal["prefill", "decode", "ttft_ms"]
Rounds = Mapping[int, float]  # a figure by the number of its round


def figure(results: Results, arm: str, concurrency: int, metric: Metric) -> Rounds:
    """In tokens/s or ms; rounds that lack what it takes are left out."""
    found = {}
    for number in range(1, results.rounds + 1):
        runs = [
            run
            for run in results.runs
            if (run.arm, run.round, run.concurrency) == (arm, number, concurrency)
        ]
        short = next((run for run in runs if run.answer_tokens == FIRST_TOKEN), None)
        long = next((run for run in runs if run.answer_tokens != FIRST_TOKEN), None)
        value = FIGURES[metric](short, long)
        if value is not None:
            found[number] = value
    return found


def _prefill(short: Run | None, long: Run | None) -> float | None:
    return None if short is None else short.prompt_tokens / short.duration_s


def _decode(short: Run | None, long: Run | None) -> float | None:
    """None also where whole answers were no slower than their first tokens: no figure."""
    if short is None or long is None or long.duration_s <= short.duration_s:
        return None
    further = long.output_tokens - short.output_tokens
    return further / (long.duration_s - short.duration_s)


def _ttft_ms(short: Run | None, long: Run | None) -> float | None:
    return None if long is None else long.ttft_ms


FIGURES: Mapping[Metric, Callable[[Run | None, Run | None], float | None]] = {
    "prefill": _prefill,
    "decode": _decode,
    "ttft_ms": _ttft_ms,
}


def roof(results: Results, arm: str, concurrency: int, metric: Metric, *, bits: int = 8) -> Rounds:
    """What the machine allowed when the arm was asked, in tokens/s; `bits` are a weight's."""

    def allowed(ceiling: Ceiling) -> float:
        if metric == "prefill":
            return roofline.prefill_tokens_per_s(results.size, ceiling.int8_ops_per_s)
        return roofline.decode_tokens_per_s(
            results.size,
            bits=bits,
            concurrency=concurrency,
            bytes_per_s=ceiling.bytes_per_s,
            ops_per_s=ceiling.int8_ops_per_s,
        )

    return {
        ceiling.round: allowed(ceiling)
        for ceiling in results.ceilings
        if ceiling.arm == arm and concurrency in ceiling.concurrency
    }


def ratios(mine: Rounds, other: Rounds) -> Rounds:
    """Of the rounds that have both."""
    return {number: mine[number] / other[number] for number in mine if number in other}


def best(results: Results, arms: Iterable[str], concurrency: int, metric: Metric) -> str | None:
    """The arm with the highest median; None where none was measured."""
    medians = {
        arm: statistics.median(known.values())
        for arm in arms
        if (known := figure(results, arm, concurrency, metric))
    }
    return max(medians, key=lambda arm: medians[arm], default=None)
