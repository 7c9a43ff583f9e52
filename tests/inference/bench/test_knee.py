"""Where more load stops paying, and when a sweep ends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.bench.knee import LEAST_ATTAINMENT, SHARE_OF_BEST, flaw, knee, pace, why_stop
from inference.bench.report.model import (
    Goodput,
    LoadReport,
    RequestCounts,
    RunReport,
    Throughput,
    TokenCounts,
)


def run(
    concurrency: float,
    tokens_per_s: float,
    *,
    open_loop: bool = False,
    failed: int = 0,
    attainment: float | None = None,
    interrupted: bool = False,
    requests_per_s: float = 1.0,
) -> RunReport:
    load = LoadReport(kind="closed", concurrency=int(concurrency))
    if open_loop:
        load = LoadReport(kind="poisson", request_rate=concurrency)
    goodput = None
    if attainment is not None:
        goodput = Goodput(objectives_ms={"ttft": 1}, requests_per_s=1, share=attainment)
    return RunReport(
        name=f"concurrency {concurrency}",
        load=load,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        duration_s=1,
        interrupted=interrupted,
        requests=RequestCounts(
            sent=100,
            succeeded=100 - failed,
            failed=failed,
            interrupted=0,
            error_rate=failed / 100,
            errors=[],
        ),
        tokens=TokenCounts(prompt=0, output=0, counted_by=[], per_event=None),
        throughput=Throughput(
            requests_per_s=requests_per_s, output_tokens_per_s=tokens_per_s, input_tokens_per_s=0
        ),
        goodput=goodput,
    )


def test_the_knee_is_the_smallest_load_near_the_peak():
    found = knee([run(1, 100), run(2, 190), run(4, 300), run(8, 310), run(16, 305)])
    assert found is not None
    assert found.run == "concurrency 4"
    assert found.output_tokens_per_s == 300
    assert found.share_of_peak == pytest.approx(300 / 310)
    assert found.reason == "the smallest load within 5% of the best"


def test_objectives_come_before_throughput():
    runs = [run(1, 100, attainment=1), run(2, 180, attainment=0.95), run(4, 300, attainment=0.4)]
    found = knee(runs)
    assert found is not None
    assert (found.run, found.share_of_peak) == ("concurrency 2", 0.6)
    assert found.reason == (
        "the smallest load within 5% of the best that holds; "
        "at concurrency 4 only 40% of the requests met the objectives"
    )


def test_requests_that_fail_disqualify_a_load():
    found = knee([run(1, 100), run(2, 200, failed=2)])
    assert found is not None
    assert found.run == "concurrency 1"
    assert found.reason.endswith("at concurrency 2 2.0% of the requests failed")


def test_a_run_that_was_cut_short_is_no_knee():
    found = knee([run(1, 100), run(2, 200, interrupted=True)])
    assert found is not None
    assert found.run == "concurrency 1"


def test_there_is_no_knee_where_nothing_holds():
    assert knee([]) is None
    assert knee([run(1, 100, failed=50), run(2, 0, requests_per_s=0)]) is None


def test_without_generated_tokens_requests_count():
    found = knee([run(1, 0, requests_per_s=10), run(2, 0, requests_per_s=20)])
    assert found is not None
    assert (found.run, found.output_tokens_per_s) == ("concurrency 2", 0)


PACES = st.lists(st.floats(0.1, 1e6), min_size=1, max_size=10)


@st.composite
def sweeps(draw: st.DrawFn) -> list[RunReport]:
    return [
        run(
            1 << power,
            tokens_per_s,
            failed=draw(st.sampled_from([0, 1, 2, 100])),
            attainment=draw(st.sampled_from([None, 0.5, LEAST_ATTAINMENT, 1.0])),
        )
        for power, tokens_per_s in enumerate(draw(PACES))
    ]


@given(sweeps())
def test_the_knee_holds_is_near_the_best_and_nothing_smaller_is(runs: list[RunReport]):
    found = knee(runs)
    holding = [each for each in runs if flaw(each) is None]
    assert (found is None) == (not holding)
    if found is None:
        return
    enough = SHARE_OF_BEST * max(map(pace, holding))
    first = next(each for each in holding if pace(each) >= enough)  # loads rise
    assert found.run == first.name
    assert 0 < found.share_of_peak <= 1


@given(sweeps().flatmap(lambda runs: st.tuples(st.just(runs), st.permutations(runs))))
def test_the_knee_does_not_depend_on_the_order_of_runs(both):
    runs, shuffled = both
    assert knee(runs) == knee(shuffled)


@given(PACES, st.sampled_from([0.25, 2.0, 1024.0]))
def test_the_knee_does_not_depend_on_the_machines_speed(paces: list[float], factor: float):
    slow = knee([run(1 << power, each) for power, each in enumerate(paces)])
    fast = knee([run(1 << power, each * factor) for power, each in enumerate(paces)])
    assert slow is not None
    assert fast is not None
    assert (slow.run, slow.share_of_peak) == (fast.run, fast.share_of_peak)


@given(st.integers(1, 12))
def test_a_sweep_goes_on_while_throughput_grows_with_the_load(num_points: int):
    assert why_stop([run(1 << power, 10 << power) for power in range(num_points)]) is None


def test_a_sweep_ends_when_two_points_brought_nothing():
    runs = [run(1, 100), run(2, 101), run(4, 102)]
    assert why_stop([]) is None
    assert why_stop(runs[:1]) is None
    assert why_stop(runs[:2]) is None
    assert why_stop(runs) == "throughput grew by 2.0% over two points"


def test_one_bad_point_does_not_end_a_sweep():
    assert why_stop([run(1, 100), run(2, 90), run(4, 150)]) is None


def test_throughput_that_falls_did_not_grow():
    assert why_stop([run(1, 100), run(2, 90), run(4, 80)]) == (
        "throughput grew by 0.0% over two points"
    )


def test_a_sweep_ends_at_the_first_load_that_does_not_hold():
    assert why_stop([run(1, 100, failed=2)]) == "2.0% of the requests failed"
    assert why_stop([run(1, 100, attainment=0.89)]) == (
        "only 89% of the requests met the objectives"
    )
    assert why_stop([run(1, 0, requests_per_s=0)]) == "nothing was answered"


def test_rates_that_lie_close_together_need_not_grow_as_much():
    close = [run(rate, rate * 10, open_loop=True) for rate in (10, 10.1, 10.2)]
    assert why_stop(close) is None
    stalled = [run(rate, 100, open_loop=True) for rate in (10, 10.1, 10.2)]
    assert why_stop(stalled) == "throughput grew by 0.0% over two points"
