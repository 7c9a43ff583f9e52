"""A plan under rising load: latencies, throughput, and what breaks first. Pure and seeded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np

from inference.bench.prompts.lengths import Length
from inference.plan.build import hardware, running_of, work
from inference.plan.model_facts import ModelFacts
from inference.plan.planner import Choice, Facts, Solution
from inference.plan.roofline import decode_step, prefill_s
from inference.plan.simulation.server import Answered, Server, Speeds, run
from inference.plan.simulation.workload import Synthetic, Workload

Breaking = Literal["KV memory", "slots", "compute"]

SCALES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
NUM_REQUESTS = 400
TTFT_LIMIT_S = 2.0  # a 95th percentile beyond it, and ten times the unloaded one, is broken
UNLOADED_FACTOR = 10
LENGTH_STEP = 64  # speeds are computed for lengths in multiples of it


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of one latency, in seconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """One model at one load."""

    scale: float  # next to the load that was asked for
    request_rate: float  # offered
    answered: int
    refused: int  # longer than a replica's KV memory
    ttft_s: Percentiles
    e2el_s: Percentiles
    output_tokens_per_s: float
    busy: float  # share of the time that replicas compute, on average
    broken: Breaking | None  # what it breaks by; None: it holds


@dataclass(frozen=True, slots=True)
class ModelSimulation:
    """One model under all loads."""

    model: str
    points: tuple[LoadPoint, ...]

    @property
    def breaks(self) -> LoadPoint | None:
        """The first load that does not hold."""
        return next((point for point in self.points if point.broken), None)

    def as_json(self) -> dict[str, Any]:
        """Plain dicts and lists."""
        return asdict(self)


def simulate(
    solution: Solution, facts: Facts, workload: Callable[[Choice], Workload]
) -> Iterator[ModelSimulation]:
    """Every model that has a replica, each under the load that `workload` says for it."""
    for choice in solution.choices:
        if choice.trial is not None:
            load = workload(choice)
            speeds = replica_speeds(solution, choice, facts[choice.model.source])
            points: list[LoadPoint] = []
            for scale in SCALES:
                first = points[0].ttft_s.p50 if points else None
                points.append(load_point(speeds, load, scale, first))
                if points[-1].broken:
                    break
            yield ModelSimulation(choice.model.name, tuple(points))


def replica_speeds(solution: Solution, choice: Choice, facts: ModelFacts) -> list[Speeds]:
    """Of each of a model's replicas; equal ones share what was computed."""
    assert choice.trial is not None
    found: dict[object, Speeds] = {}
    speeds = []
    for number, spot in enumerate(choice.trial.spots):
        room = solution.rooms[spot.devices[0][0]]
        sort = (room.kind, spot.entry, spot.fit, len({each for each, _ in spot.devices}))
        if sort not in found:
            found[sort] = _speeds(solution, choice, facts, number)
        speeds.append(found[sort])
    return speeds


def _speeds(solution: Solution, choice: Choice, facts: ModelFacts, number: int) -> Speeds:
    model, trial = choice.model, choice.trial
    assert trial is not None
    spot = trial.spots[number]
    at = hardware(trial, spot, solution.rooms, running_of(model, facts, trial).precision)

    @cache
    def step_s(batch: int, tokens: int) -> float:
        return decode_step(work(model, facts, trial, spot.fit, batch), at, batch, tokens).total_s

    @cache
    def reading_s(tokens: int) -> float:
        return prefill_s(work(model, facts, trial, spot.fit, tokens), at, tokens)

    return Speeds(
        max_num_seqs=spot.fit.most_sequences,
        kv_tokens=int(spot.fit.bytes_per_device.kv_cache // spot.fit.kv_bytes_per_token),
        prefill_s=lambda tokens: reading_s(_rounded(tokens)),
        step_s=lambda batch, tokens: step_s(batch, _rounded(tokens)),
    )


def _rounded(tokens: int) -> int:
    return max(1, -(-tokens // LENGTH_STEP)) * LENGTH_STEP


def load_point(
    speeds: list[Speeds], workload: Workload, scale: float, unloaded_ttft_s: float | None
) -> LoadPoint:
    """One load on fresh replicas; `unloaded_ttft_s`: the lightest load's median."""
    servers, requests = [Server(each) for each in speeds], workload.requests(scale)
    run(servers, requests)
    answers = [each for server in servers for each in server.answered]
    ttft_s = _percentiles([each.first_token_s - each.request.at_s for each in answers])
    ends_s = max((each.end_s for each in answers), default=0.0)
    offered_s = requests[-1].at_s
    rate = len(requests) / offered_s if offered_s else float(len(requests))
    return LoadPoint(
        scale=scale,
        request_rate=rate,
        answered=len(answers),
        refused=sum(len(server.refused) for server in servers),
        ttft_s=ttft_s,
        e2el_s=_percentiles([each.end_s - each.request.at_s for each in answers]),
        output_tokens_per_s=_tokens(answers) / ends_s if ends_s else 0.0,
        busy=sum(server.busy_s for server in servers) / (len(servers) * ends_s) if ends_s else 0.0,
        broken=_breaking(servers) if _is_broken(ttft_s, unloaded_ttft_s) else None,
    )


def _is_broken(ttft_s: Percentiles, unloaded_s: float | None) -> bool:
    return ttft_s.p95 > max(TTFT_LIMIT_S, UNLOADED_FACTOR * (unloaded_s or 0.0))


def _breaking(servers: list[Server]) -> Breaking:
    """What requests waited for longest: room that was not there, else only for steps to end."""
    busy_s = sum(server.busy_s for server in servers)
    memory_s = sum(server.blocked_s["KV memory"] for server in servers)
    slots_s = sum(server.blocked_s["slots"] for server in servers)
    if max(memory_s, slots_s) < busy_s / 10:
        return "compute"
    return "KV memory" if memory_s >= slots_s else "slots"


def _percentiles(values: list[float]) -> Percentiles:
    if not values:
        return Percentiles(0.0, 0.0, 0.0)
    return Percentiles(*(float(each) for each in np.percentile(values, (50, 95, 99))))


def _tokens(answers: list[Answered]) -> int:
    return sum(each.request.output_tokens for each in answers)


def expected_load(
    solution: Solution,
    facts: Facts,
    choice: Choice,
    *,
    prompt_tokens: Length,
    output_tokens: Length,
    num_requests: int = NUM_REQUESTS,
    request_rate: float | None = None,
    seed: int = 0,
) -> Synthetic:
    """The model's expected concurrency as a rate, where none is said."""
    load = Synthetic(request_rate or 1.0, num_requests, prompt_tokens, output_tokens, seed)
    if request_rate is not None:
        return load
    return replace(load, request_rate=_rate(solution, facts[choice.model.source], choice, load))


def _rate(solution: Solution, facts: ModelFacts, choice: Choice, load: Synthetic) -> float:
    """By Little's law: requests at once / the time of each."""
    speeds = replica_speeds(solution, choice, facts)
    requests = load.requests(1.0)
    prompt = sum(each.prompt_tokens for each in requests) // len(requests)
    output = sum(each.output_tokens for each in requests) / len(requests)
    rate = 0.0
    for one in speeds:
        batch = min(max(1, choice.model.concurrency // len(speeds)), one.max_num_seqs)
        rate += batch / (one.prefill_s(prompt) + output * one.step_s(batch, prompt + int(output)))
    return rate
