"""Records become figures that can be known by hand, and keep their laws."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.bench.distribution import distribution
from inference.bench.record import CountedBy, Failure, FailureKind, RequestRecord
from inference.bench.report.model import LoadReport, RunReport
from inference.bench.summary import RunFacts, Yardsticks, summarise

FACTS = RunFacts("run", LoadReport(kind="closed", concurrency=1), datetime.now(UTC), 100.0)


def record(number=0, *, due=100.0, first=0.2, gap=0.1, tokens=5, failure=None, **more):
    """A stream with one event a token."""
    times = tuple(due + first + gap * place for place in range(tokens))
    ended_s = times[-1] if times else due + first
    kind = None if failure is None else Failure(FailureKind(failure), f"{failure} {number}")
    return RequestRecord(
        number=number, endpoint=0, scheduled_s=due, sent_s=due, ended_s=ended_s,
        event_times_s=times, prompt_tokens=10, output_tokens=tokens, failure=kind, **more,
    )  # fmt: skip


def summary(records, **yardsticks):
    return summarise(FACTS, records, Yardsticks(**yardsticks))


def test_latencies_are_those_of_the_definitions():
    run = summary([record()])
    assert run.ttft_ms and run.tpot_ms and run.itl_ms and run.e2el_ms
    assert run.ttft_ms.p50 == pytest.approx(200)
    assert run.tpot_ms.p50 == pytest.approx(100)
    assert run.itl_ms.count == 4
    assert run.itl_ms.max == pytest.approx(100)
    assert run.e2el_ms.p50 == pytest.approx(600)


def test_a_wait_before_sending_is_part_of_the_latency():
    late = RequestRecord(0, 0, 100.0, 103.0, 104.0, (103.5, 104.0), 1, 2)
    run = summary([late])
    assert run.ttft_ms and run.ttft_ms.p50 == pytest.approx(3500)


def test_rates_are_over_the_whole_run_and_per_what_it_ran_on():
    run = summary([record(0), record(1, due=100.4)], num_gpus=2, num_cores=4)
    assert run.duration_s == pytest.approx(1.0)
    assert run.throughput.requests_per_s == pytest.approx(2)
    assert run.throughput.output_tokens_per_s == pytest.approx(10)
    assert run.throughput.output_tokens_per_s_per_gpu == pytest.approx(5)
    assert run.throughput.input_tokens_per_s_per_core == pytest.approx(5)


def test_unknown_hardware_is_not_zero():
    run = summary([record()])
    assert run.throughput.output_tokens_per_s_per_gpu is None
    assert run.throughput.requests_below_threshold is None
    assert run.goodput is None


def test_requests_below_the_threshold_are_counted():
    fast, slow = record(0, gap=0.01, first=0.01), record(1, gap=1.0)
    run = summary([fast, slow], threshold_tps=7.0)
    assert run.throughput.requests_below_threshold == 1


def test_failures_are_counted_by_class_with_the_first_example():
    failed = [record(number, failure=kind) for number, kind in enumerate(["timeout"] * 2)]
    run = summary([*failed, record(2, failure="tls"), record(3), record(4, failure="interrupted")])
    requests = run.requests
    assert (requests.sent, requests.succeeded, requests.failed, requests.interrupted) == (
        5,
        1,
        3,
        1,
    )
    assert requests.error_rate == pytest.approx(0.75)
    assert [(each.kind, each.count, each.example) for each in requests.errors] == [
        ("timeout", 2, "timeout 0"),
        ("tls", 1, "tls 2"),
    ]


@pytest.mark.parametrize(
    ("objectives", "met"),
    [({"ttft": 250}, 2), ({"ttft": 150}, 0), ({"ttft": 250, "itl": 150}, 1), ({"e2el": 700}, 1)],
)
def test_goodput_counts_those_that_meet_every_objective(objectives, met):
    records = [record(0), record(1, gap=0.2), record(2, failure="http_5xx")]
    run = summary(records, objectives_ms=objectives)
    assert run.goodput is not None
    assert run.goodput.share == pytest.approx(met / 3)
    assert run.goodput.requests_per_s == pytest.approx(met / run.duration_s)


def test_one_token_has_no_gap_to_miss_an_objective_with():
    run = summary([record(tokens=1)], objectives_ms={"tpot": 1, "itl": 1})
    assert run.goodput is not None
    assert run.goodput.share == 1


def test_an_answer_that_was_not_streamed_has_no_first_token():
    whole = RequestRecord(0, 0, 100.0, 100.0, 102.0, (), 3, 8)
    run = summary([whole])
    assert run.ttft_ms is None
    assert run.tokens.per_event is None
    assert sum(second.output_tokens for second in run.timeline) == 8


def test_the_digest_tells_whether_the_same_was_said():
    one = [record(0, digest="a"), record(1, digest="b")]
    assert summary(one).answers_digest == summary(one[::-1]).answers_digest
    assert summary(one).answers_digest != summary([record(0, digest="a")]).answers_digest
    assert summary([record(failure="tls")]).answers_digest is None


RECORDS = st.lists(
    st.builds(
        record,
        st.integers(0, 9),
        due=st.floats(100, 130),
        first=st.floats(0.001, 5),
        gap=st.floats(0.001, 2),
        tokens=st.integers(1, 30),
        failure=st.sampled_from([None, None, "timeout", "interrupted"]),
        counted_by=st.sampled_from(list(CountedBy)),
    ),
    max_size=20,
)


@given(RECORDS)
def test_nothing_is_lost_or_counted_twice(records):
    run = summary(records, objectives_ms={"ttft": 1000.0})
    counts = run.requests
    assert counts.sent == len(records) == counts.succeeded + counts.failed + counts.interrupted
    assert sum(each.count for each in counts.errors) == counts.failed
    assert sum(second.completed for second in run.timeline) == counts.succeeded
    in_timeline = sum(second.output_tokens for second in run.timeline)
    assert in_timeline == pytest.approx(run.tokens.output)
    assert run.goodput is not None
    assert 0 <= run.goodput.share <= 1
    assert RunReport.model_validate_json(run.model_dump_json()) == run


@given(RECORDS)
def test_requests_in_flight_are_a_mean_over_each_second(records):
    run = summary(records)
    lasted_s = sum(each.ended_s - each.sent_s for each in records)
    assert sum(second.in_flight for second in run.timeline) == pytest.approx(lasted_s)
    assert all(0 <= second.in_flight <= len(records) + 1e-9 for second in run.timeline)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_a_distribution_is_in_order_and_holds_every_value(values):
    found = distribution(values)
    assert found is not None
    assert found.count == len(values) == sum(found.histogram.counts)
    ordered = [found.min, found.p50, found.p90, found.p95, found.p99, found.max]
    assert ordered == sorted(ordered)
    assert found.quantiles == sorted(found.quantiles)
    assert math.isclose(found.mean, sum(values) / len(values), abs_tol=1e-6, rel_tol=1e-9)


def test_no_values_have_no_distribution():
    assert distribution([]) is None
