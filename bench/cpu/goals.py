"""What is to be reached, and whether it was. Pure.

Judged by the median over the rounds; the range says how sure that is.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.cpu import figures
from bench.cpu.arms import OURS, PEERS
from bench.cpu.figures import Metric, Rounds
from bench.cpu.results import Results
from serving.cpu.auto_engine import AUTO

Verdict = Literal["pass", "short", "not measured"]

ROOF = "int8 roofline"
BEST_PEER = "best peer"
PEER_NAMES = tuple(arm.name for arm in PEERS)
ONNX = ("onnx-int8", "onnx-int4")
STATIC = ("ipex-llm-generate-int8",)


def _ours_of(bits: int) -> tuple[str, ...]:
    return tuple(arm.name for arm in OURS if arm.bits == bits and arm.name != AUTO)


@dataclass(frozen=True, slots=True)
class Goal:
    """The best of `arms` against the best of `others`, or the roofline where there are none."""

    words: str  # who against whom
    arms: tuple[str, ...]
    others: tuple[str, ...]
    metric: Metric
    least: float
    concurrency: tuple[int, ...] | None = None  # None: all that there are


GOALS = (
    Goal(f"auto / {BEST_PEER}", (AUTO,), PEER_NAMES, "decode", 1.0),
    Goal(f"ours, int8 / {ROOF}", _ours_of(8), (), "decode", 0.85, (1,)),
    Goal(f"ours, int4 / {ROOF}", _ours_of(4), (), "decode", 1.0, (1,)),
    Goal(f"onnx / {BEST_PEER}", ONNX, PEER_NAMES, "decode", 1.0),
    Goal(f"onnx / {BEST_PEER}", ONNX, PEER_NAMES, "prefill", 0.9),
    Goal("auto / IPEX-LLM's static batches", (AUTO,), STATIC, "decode", 8.0, (8,)),
    Goal("auto / IPEX-LLM's static batches", (AUTO,), STATIC, "prefill", 20.0, (8,)),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A goal at one concurrency."""

    goal: Goal
    concurrency: int
    arm: str | None  # the best of those meant
    other: str | None  # the best of the others; None also for the roofline
    ratios: Rounds
    verdict: Verdict


def judged(results: Results, goals: Sequence[Goal] = GOALS) -> Iterator[Judged]:
    """Every goal at every concurrency it is meant for and that was asked."""
    for goal in goals:
        for concurrency in results.concurrency:
            if goal.concurrency is None or concurrency in goal.concurrency:
                yield _judge(results, goal, concurrency)


def _judge(results: Results, goal: Goal, concurrency: int) -> Judged:
    arm = figures.best(results, goal.arms, concurrency, goal.metric)
    other = figures.best(results, goal.others, concurrency, goal.metric)
    ratios: Rounds = {}
    if arm is not None and not (goal.others and other is None):
        mine = figures.figure(results, arm, concurrency, goal.metric)
        ratios = figures.ratios(mine, _against(results, goal, concurrency, arm, other))
    return Judged(goal, concurrency, arm, other, ratios, verdict(ratios, goal.least))


def _against(results: Results, goal: Goal, concurrency: int, arm: str, other: str | None) -> Rounds:
    if other is None:
        return figures.roof(results, arm, concurrency, goal.metric)
    return figures.figure(results, other, concurrency, goal.metric)


def verdict(ratios: Rounds, least: float) -> Verdict:
    if not ratios:
        return "not measured"
    return "pass" if statistics.median(ratios.values()) >= least else "short"
