"""Schedules: never falling, at their rate, and the same whenever they are asked for."""

from __future__ import annotations

import itertools
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.bench.arrivals import Burst, Constant, Poisson, Replay, arrivals
from serving.errors import ConfigError

RATES = st.floats(0.01, 10_000)
SCHEDULES = st.one_of(
    st.builds(Constant, RATES),
    st.builds(Poisson, RATES, st.integers(0, 99)),
    st.builds(Burst, RATES, st.integers(1, 20)),
    st.builds(
        Replay,
        st.lists(st.floats(0, 1000), min_size=1).map(lambda times: tuple(sorted([0.0, *times]))),
        st.floats(0.1, 10),
    ),
)


def first(schedule, count=200):
    return list(itertools.islice(schedule.offsets_s(), count))


@given(SCHEDULES)
def test_times_begin_with_the_run_and_never_fall(schedule):
    offsets = first(schedule)
    assert offsets[0] == 0
    assert offsets == sorted(offsets)


@given(SCHEDULES)
def test_every_call_and_every_process_sees_the_same(schedule):
    assert first(pickle.loads(pickle.dumps(schedule))) == first(schedule)


@given(st.sampled_from(["constant", "poisson", "burst"]), RATES)
def test_the_rate_is_kept_on_average(kind, rate):
    schedule = arrivals(kind, rate, seed=1, burst_size=4)
    offsets = first(schedule, 4001)
    assert offsets[-1] * rate / 4000 == pytest.approx(1, rel=0.1)
    assert schedule.kind == kind


def test_bursts_come_together():
    assert first(Burst(10.0, 5), 11) == [0.0] * 5 + [0.5] * 5 + [1.0]


def test_poisson_gaps_are_exponential():
    offsets = first(Poisson(1.0, 3), 5001)
    gaps = [after - before for before, after in itertools.pairwise(offsets)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert deviation / mean == pytest.approx(1, rel=0.1)


def test_a_trace_is_replayed_at_its_speed():
    trace = Replay((0.0, 1.0, 4.0), speed=2)
    assert first(trace) == [0.0, 0.5, 2.0]
    assert trace.request_rate == 1.0


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(ConfigError, match="--request-rate"):
        arrivals("poisson", rate)


def test_a_burst_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="--burst-size: 0"):
        arrivals("burst", 1.0, burst_size=0)


def test_a_traces_rate_is_a_number_even_at_one_moment():
    assert Replay((0.0, 0.0, 0.0)).request_rate == 3
