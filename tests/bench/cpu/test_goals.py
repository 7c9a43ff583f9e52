"""Goals against results that meet them, miss them, or say nothing."""

from __future__ import annotations

import pytest

from bench.cpu import goals
from bench.cpu.arms import ARMS
from bench.cpu.goals import Goal
from tests.bench.cpu.samples import ceiling, results, runs

PEER, OTHER = "vllm-serve-int8", "llama.cpp-q8_0"


def judged(found, goal):
    (only,) = goals.judged(found, [goal])
    return only


@pytest.mark.parametrize(("decode_s", "verdict"), [(2.0, "pass"), (2.2, "short")])
def test_the_best_is_held_against_the_best(decode_s, verdict):
    found = results(
        runs("onnx-int8", 1, decode_s=decode_s),
        runs("onnx-int4", 1, decode_s=9.0),
        runs(PEER, 1, decode_s=2.0),
        runs(OTHER, 1, decode_s=5.0),
    )
    goal = Goal("", goals.ONNX, goals.PEER_NAMES, "decode", 1.0)
    said = judged(found, goal)
    assert (said.arm, said.other, said.verdict) == ("onnx-int8", PEER, verdict)
    assert said.ratios == {1: pytest.approx(2.0 / decode_s)}


def test_without_others_the_roofline_is_meant():
    found = results(runs("onnx-int8", 1), ceilings=[ceiling("onnx-int8", 1, bytes_per_s=50.0)])
    said = judged(found, Goal("", ("onnx-int8",), (), "decode", 0.85))
    assert (said.other, said.ratios, said.verdict) == (None, {1: 1.0}, "pass")


def test_what_lacks_a_side_is_neither_met_nor_missed():
    mine, theirs = results(runs("auto", 1)), results(runs(PEER, 1))
    goal = Goal("", ("auto",), goals.PEER_NAMES, "decode", 1.0)
    assert {judged(found, goal).verdict for found in (mine, theirs)} == {"not measured"}
    assert judged(mine, goal).ratios == {}


def test_a_goal_is_judged_where_it_is_meant():
    found = results(runs("auto", 1), concurrency=(1, 8, 32))
    at = [each.concurrency for each in goals.judged(found, [Goal("", ("auto",), (), "decode", 1)])]
    assert at == [1, 8, 32]
    at = [each.concurrency for each in goals.judged(found) if each.goal.others == goals.STATIC]
    assert at == [8, 8]


def test_the_median_decides():
    assert goals.verdict({1: 0.5, 2: 1.0, 3: 1.5}, 1.0) == "pass"
    assert goals.verdict({1: 0.5, 2: 0.9, 3: 1.5}, 1.0) == "short"


def test_goals_are_about_arms_that_there_are():
    for goal in goals.GOALS:
        assert {*goal.arms, *goal.others} <= set(ARMS)
        assert goal.arms
