"""Who takes part, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cpu import arms, weights
from bench.models import ROOT
from serving.cpu.auto_engine import AUTO

some_arms = st.lists(st.sampled_from(list(arms.ARMS.values())), min_size=1, unique=True)


def test_every_arm_has_a_name_of_its_own_and_weights_that_can_be_made():
    assert len(arms.ARMS) == len(arms.OURS) + len(arms.PEERS)
    for arm in arms.ARMS.values():
        assert arm.weights is None or arm.weights in weights.WEIGHTS


def test_every_environment_is_made_by_make_or_by_the_converter():
    targets = (ROOT / "Makefile").read_text()
    for arm in arms.ARMS.values():
        if arm.environment not in {None, "convert"}:
            assert arm.environment in targets


@pytest.mark.parametrize("arm", arms.PEERS, ids=lambda arm: arm.name)
def test_every_peer_without_a_server_has_a_file(arm):
    if isinstance(arm.run, arms.Worker):
        assert (Path(arms.__file__).parent / "peers" / f"{arm.run.module}.py").is_file()


def test_names_and_groups_are_put_together_in_the_order_of_the_table():
    assert [arm.name for arm in arms.chosen(["auto", "onnx-int8", "auto"])] == ["onnx-int8", "auto"]
    assert arms.chosen(["all"]) == list(arms.ARMS.values())
    assert arms.chosen(["ours", "peers"]) == arms.chosen(["all"])
    slow = set(arms.GROUPS["all"]) - set(arms.GROUPS["main"])
    assert "ipex-llm-generate-int8" in slow
    assert "auto" not in slow


@given(some_arms, st.integers(1, 50))
def test_everybody_has_one_turn_in_a_round_and_auto_the_last(chosen, number):
    order = arms.in_turn(chosen, number)
    assert sorted(arm.name for arm in order) == sorted(arm.name for arm in chosen)
    assert AUTO not in [arm.name for arm in order[:-1]]


@given(some_arms)
def test_everybody_but_auto_begins_some_round(chosen):
    others = {arm.name for arm in chosen} - {AUTO}
    first = {arms.in_turn(chosen, number)[0].name for number in range(1, len(chosen) + 1)}
    assert first >= others


def test_auto_is_started_for_each_load_and_slow_ones_are_spared_the_largest():
    assert arms.ARMS[AUTO].starts([1, 8]) == [[1], [8]]
    assert arms.ARMS["onnx-int8"].starts([1, 8, 32]) == [[1, 8, 32]]
    assert arms.ARMS["ipex-llm-generate-int8"].starts([1, 8, 32]) == [[1, 8]]
    assert arms.ARMS["ipex-llm-generate-int8"].starts([32]) == []
