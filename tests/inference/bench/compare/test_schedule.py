from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from inference.bench.compare.schedule import WARMUP, Turn, turns

ARMS = st.lists(st.sampled_from("abcde"), min_size=2, max_size=4, unique=True)


@given(ARMS, st.integers(1, 3), st.integers(1, 6), st.integers(0, 2), st.booleans())
def test_every_arm_has_every_turn_once_in_every_round(arms, points, rounds, warmups, exclusive):
    found = list(
        turns(arms, points=points, rounds=rounds, warmup_rounds=warmups, exclusive=exclusive)
    )
    expected = Counter(
        Turn(number, point, arm)
        for number in range(1, rounds + 1)
        for point in range(points)
        for arm in arms
    )
    assert Counter(turn for turn in found if turn.round != WARMUP) == expected
    assert sum(turn.round == WARMUP for turn in found) == warmups * points * len(arms)
    assert [turn.round for turn in found] == sorted(turn.round for turn in found)


@given(ARMS, st.integers(1, 3))
def test_each_arm_goes_first_equally_often(arms, points):
    found = turns(arms, points=points, rounds=2 * len(arms), warmup_rounds=0)
    first = Counter(
        turn.arm for place, turn in enumerate(found) if place % (points * len(arms)) == 0
    )
    assert set(first.values()) == {2}


def test_arms_are_asked_back_to_back_at_each_load():
    found = list(turns(["a", "b"], points=2, rounds=2, warmup_rounds=0))
    asked = [(turn.round, turn.point, turn.arm) for turn in found]
    assert asked == [
        *[(1, 0, "b"), (1, 0, "a"), (1, 1, "b"), (1, 1, "a")],
        *[(2, 0, "a"), (2, 0, "b"), (2, 1, "a"), (2, 1, "b")],
    ]


def test_an_exclusive_arm_does_all_its_loads_in_one_go():
    found = list(turns(["a", "b"], points=2, rounds=2, warmup_rounds=0, exclusive=True))
    assert [turn.arm for turn in found] == ["b", "b", "a", "a", "a", "a", "b", "b"]
