"""Whole plans under load."""

import pytest

from inference.bench.prompts.lengths import parse_length
from inference.bench.trace import Entry, Trace
from inference.plan.fleet import Fleet, Model
from inference.plan.planner import Choice, solve
from inference.plan.simulation.simulate import ModelSimulation, expected_load, simulate
from inference.plan.simulation.workload import Recorded, Synthetic
from tests.inference.plan.fleets import cpu_node, facts_of, gpu_node

LENGTH = parse_length("100", "--prompt-tokens")


def simulated(fleet: Fleet, rate: float | None = None, number: int = 60) -> ModelSimulation:
    facts, solution = facts_of(fleet), solve(fleet, facts_of(fleet))

    def load(choice: Choice) -> Synthetic:
        return expected_load(
            solution,
            facts,
            choice,
            prompt_tokens=LENGTH,
            output_tokens=LENGTH,
            num_requests=number,
            request_rate=rate,
        )

    (found,) = simulate(solution, facts, load)
    return found


def seven_b(**more) -> Model:
    return Model(name="m", **{"source": "meta-llama/Llama-2-7b-chat-hf", "context": 512, **more})


def test_every_request_is_answered_at_every_load() -> None:
    found = simulated(Fleet(nodes=[gpu_node(count=1)], models=[seven_b(concurrency=8)]))
    assert [point.answered for point in found.points] == [60] * len(found.points)
    assert all(0 < point.busy <= 1 for point in found.points)
    for point in found.points:
        assert point.ttft_s.p50 <= point.ttft_s.p95 <= point.ttft_s.p99
        assert point.ttft_s.p50 < point.e2el_s.p50


def test_more_load_never_shortens_latencies() -> None:
    found = simulated(Fleet(nodes=[cpu_node()], models=[seven_b(concurrency=8)]))
    ends = [point.e2el_s.p95 for point in found.points]
    assert ends == sorted(ends)


def test_an_expected_concurrency_is_a_rate_by_little_s_law() -> None:
    fleet = Fleet(nodes=[gpu_node(count=1)], models=[seven_b(concurrency=8)])
    asked = next(point for point in simulated(fleet, number=600).points if point.scale == 1)
    mean_at_once = asked.request_rate * asked.e2el_s.p50
    assert mean_at_once == pytest.approx(8, rel=0.2)


def test_few_slots_break_first_on_cpus() -> None:
    fleet = Fleet(nodes=[cpu_node()], models=[seven_b(concurrency=32, replicas=1)])
    breaks = simulated(fleet, rate=50, number=400).breaks
    assert breaks is not None
    assert breaks.broken == "slots"


def test_little_memory_breaks_first_on_a_small_gpu() -> None:
    fleet = Fleet(nodes=[gpu_node(product="L4", count=1)], models=[seven_b(concurrency=8)])
    breaks = simulated(fleet, rate=50, number=400).breaks
    assert breaks is not None
    assert breaks.broken == "KV memory"


def test_a_trace_comes_faster_at_larger_scales() -> None:
    trace = Recorded(Trace((Entry(0.0, 10, 20), Entry(4.0, 30, 40))))
    assert [each.at_s for each in trace.requests(2.0)] == [0.0, 2.0]
    assert [each.output_tokens for each in trace.requests(2.0)] == [20, 40]


def test_the_same_requests_come_at_every_scale() -> None:
    lengths = parse_length("10:99", "")
    load = Synthetic(2.0, 20, lengths, lengths, seed=4)
    slow, fast = load.requests(1.0), load.requests(4.0)
    assert [each.prompt_tokens for each in slow] == [each.prompt_tokens for each in fast]
    assert slow[-1].at_s == pytest.approx(4 * fast[-1].at_s)
