"""inference.check.packing: no node is filled beyond what it has, and who fits finds room."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from inference.check.packing import Need, place

AMOUNT = st.integers(0, 4).map(float)
NODES = st.lists(st.fixed_dictionaries({"CPU": AMOUNT, "GPU": AMOUNT}), min_size=1, max_size=3)


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[Need], list[dict[str, float]]]:
    nodes = draw(NODES)
    amounts = st.fixed_dictionaries({"CPU": AMOUNT, "GPU": AMOUNT})
    allowed = st.frozensets(st.integers(0, len(nodes) - 1))
    needs = st.builds(Need, st.just("a"), st.just(()), amounts, allowed)
    return draw(st.lists(needs, max_size=4)), nodes


@given(problems())
@settings(max_examples=150, deadline=None)
def test_no_node_gives_more_than_it_has(problem: tuple[list[Need], list[dict[str, float]]]) -> None:
    needs, nodes = problem
    placed = place(needs, nodes)
    for number, node in enumerate(nodes):
        here = [need for need, where in zip(needs, placed, strict=True) if where == number]
        assert all(number in need.nodes for need in here)
        for name, amount in node.items():
            assert sum(need.amounts[name] for need in here) <= amount


@given(problems())
@settings(max_examples=150, deadline=None)
def test_nobody_is_left_over_where_there_is_a_way(
    problem: tuple[list[Need], list[dict[str, float]]],
) -> None:
    needs, nodes = problem
    ways = product(*(sorted(need.nodes) for need in needs))
    possible = any(
        all(
            sum(n.amounts[name] for n, w in zip(needs, way, strict=True) if w == number) <= amount
            for number, node in enumerate(nodes)
            for name, amount in node.items()
        )
        for way in ways
    )
    assert (None not in place(needs, nodes)) is possible


def test_many_replicas_are_placed_at_once() -> None:
    nodes = [{"CPU": 64.0, "GPU": 8.0}] * 100
    need = Need("a", (), {"CPU": 8.0, "GPU": 1.0}, frozenset(range(100)))
    placed = place([need] * 801, nodes)
    assert placed.count(None) == 1
