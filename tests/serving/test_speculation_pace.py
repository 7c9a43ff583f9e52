"""Drafts are verified when that is faster, by given costs, and never for long when it is not."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice, takewhile
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.speculation_pace import (
    ASSUMED_STEPS,
    FORGET_AFTER,
    LEAST_GAIN,
    AcceptanceRate,
    SpeculationPace,
)

SIZES = (4, 8)


def pace_of(decode_s: float = 1.0, **verify_s: float) -> SpeculationPace:
    """All costs measured: `of_4` and `of_8` are seconds of a verification."""
    pace = SpeculationPace(SIZES)
    for size in SIZES:
        for _ in range(2):  # the first of a size does not count
            pace.verified(size, verify_s[f"of_{size}"])
    pace.decoded(decode_s)
    return pace


def expected_tokens(length: int, acceptance: float) -> float:
    return sum(acceptance**place for place in range(length + 1))


@given(
    acceptance=st.floats(0, 1),
    num_drafted=st.integers(0, 7),
    room=st.integers(1, 20),
    of_4=st.floats(0.5, 9),
    of_8=st.floats(0.5, 9),
)
def test_the_draft_with_the_most_tokens_a_second_is_verified_if_that_beats_decoding(
    acceptance, num_drafted, room, of_4, of_8
):
    pace = pace_of(of_4=of_4, of_8=of_8)
    best = pace.draft_length(num_drafted, room, acceptance)
    costs = {4: of_4, 8: of_8}
    rates = {
        length: expected_tokens(length, acceptance) / costs[4 if length < 4 else 8]
        for size in SIZES
        if size <= room and (length := min(size - 1, num_drafted))
    }
    assert best in {0, *rates}
    if max(rates.values(), default=0.0) < LEAST_GAIN:
        assert best == 0
    else:
        assert rates[best] == pytest.approx(max(rates.values()))


def test_nothing_is_verified_before_a_decode_step_was_measured():
    assert SpeculationPace(SIZES).draft_length(7, 99, 1.0) == 0


def test_costs_not_measured_are_assumed():
    pace = SpeculationPace(SIZES)
    pace.decoded(1.0)
    assert expected_tokens(7, 0.3) < LEAST_GAIN * ASSUMED_STEPS < expected_tokens(7, 0.5)
    assert pace.draft_length(7, 99, 0.3) == 0
    assert pace.draft_length(7, 99, 0.5) > 0


def test_the_first_call_of_a_size_does_not_count():
    pace = SpeculationPace(SIZES)
    pace.decoded(1.0)
    pace.verified(8, 1000.0)
    assert pace.draft_length(7, 99, 1.0) == 7
    pace.verified(8, 1000.0)
    assert pace.draft_length(7, 99, 1.0) == 3


def test_one_slow_call_changes_nothing():
    pace = pace_of(of_4=1.2, of_8=1.6)
    for _ in range(3):
        pace.verified(8, 1.6)
    pace.verified(8, 50.0)
    assert pace.draft_length(7, 99, 0.95) == 7


def test_where_verifying_costs_too_much_it_is_tried_again_once_in_a_while():
    pace = pace_of(of_4=5.0, of_8=9.0)
    tried = 0
    for _ in range(10 * FORGET_AFTER):
        if length := pace.draft_length(7, 99, 1.0):
            pace.verified(1 + length, 5.0 if length < 4 else 9.0)
            tried += 1
        else:
            pace.decoded(1.0)
    assert 10 <= tried <= 20


def test_a_cost_that_fell_is_noticed():
    pace = pace_of(of_4=9.0, of_8=9.0)
    for _ in range(FORGET_AFTER - 1):  # one step is in the pace already
        assert pace.draft_length(7, 99, 1.0) == 0
        pace.decoded(1.0)
    assert pace.draft_length(7, 99, 1.0) == 7


def steps_taken(num_tokens: int, right: Iterator[bool], of_4: float, of_8: float) -> float:
    """Decode steps' time that an answer takes whose drafts are right as `right` says."""
    pace, rate, taken, come = SpeculationPace(SIZES), AcceptanceRate(), 0.0, 0
    while come < num_tokens:
        length = pace.draft_length(7, 99, rate.value)
        verdicts = list(takewhile(bool, islice(right, length)))
        num_right = len(verdicts)
        if length:
            cost = of_4 if length < 4 else of_8
            pace.verified(1 + length, cost)
            rate.judge(num_right, int(num_right < length))
        else:
            cost = 1.0
            pace.decoded(cost)
            first = next(right)
            rate.judge(int(first), int(not first))
        taken, come = taken + cost, come + 1 + num_right
    return taken


@pytest.mark.parametrize("costs", [(1.2, 1.6), (2.2, 3.8), (4.0, 8.0)])
@pytest.mark.parametrize("chance", [0.0, 0.2, 0.5, 0.7, 0.9])
def test_by_and_large_it_never_loses(chance, costs):
    random = Random(1)
    right = (random.random() < chance for _ in count())
    assert steps_taken(4000, right, *costs) < 1.03 * 4000


def test_it_gains_on_text_that_repeats_itself_for_a_while():
    """Thirty tokens that were there before, then thirty that were not."""
    right = (number // 30 % 2 == 0 for number in count())
    assert steps_taken(4000, right, 1.2, 1.6) < 4000 / 1.4


def test_a_few_right_guesses_turn_it_on_and_a_few_wrong_ones_off():
    rate, pace = AcceptanceRate(), pace_of(of_4=1.3, of_8=1.7)
    assert pace.draft_length(7, 99, rate.value) == 0
    rate.judge(5, 0)
    assert pace.draft_length(7, 99, rate.value) > 0
    for _ in range(5):
        rate.judge(0, 1)
    assert pace.draft_length(7, 99, rate.value) == 0


@given(verdicts=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 1))))
def test_the_rate_is_a_share(verdicts):
    rate = AcceptanceRate()
    for num_right, num_wrong in verdicts:
        rate.judge(num_right, num_wrong)
    assert 0.0 <= rate.value <= 1.0
