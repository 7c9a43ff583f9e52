"""Groups hold a plan exactly, on any fleet; and say where its pods cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.manifest.worker_groups import (
    HEAD_BYTES,
    SYSTEM_CPUS,
    Share,
    head_cpus,
    pod_bytes,
    worker_groups,
)
from inference.plan.fleet import Fleet, Gpus, Node
from inference.plan.plan import Plan
from serving.errors import ConfigError
from tests.inference.manifest.plans import GIB, model_plan, plan_of


def node(name: str, *, gpus: int = 0, count: int = 1, head: bool = False, cores: int = 64) -> Node:
    there = (Gpus(product="A100-SXM4-80GB", count=gpus),) if gpus else ()
    return Node(name=name, cores=cores, memory=256 * GIB, gpus=there, count=count, head=head)


@st.composite
def fleets_and_plans(draw: st.DrawFn) -> tuple[Fleet, Plan]:
    """One-GPU replicas strewn over nodes with GPUs, and replicas on CPUs beside them."""
    nodes = draw(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=4))
    fleet = Fleet(
        nodes=tuple(
            node(f"n{number}", gpus=gpus, count=count) for number, (gpus, count) in enumerate(nodes)
        )
    )
    machines = [(name, each) for each in fleet.nodes for name in each.names()]
    spots = [(name, index) for name, each in machines for index in range(each.gpus[0].count)]
    on_gpus = draw(st.lists(st.sampled_from(spots), min_size=1, unique=True))
    on_cpus = draw(st.lists(st.sampled_from([name for name, _ in machines]), unique=True))
    models = [model_plan("gpu", "nvidia_gpu", [[spot] for spot in on_gpus])]
    if on_cpus:
        models.append(model_plan("cpu", "intel_cpu", [[(name, 0)] for name in on_cpus]))
    return fleet, plan_of(*models)


@given(fleets_and_plans())
def test_groups_hold_every_replica_and_no_more(given: tuple[Fleet, Plan]) -> None:
    fleet, plan = given
    groups = worker_groups(plan, fleet)
    for model in plan.models:
        mine = [group for group in groups if group.model is model]
        held = sum(group.num_pods * group.share.num_replicas for group in mine)
        machines = {each.node for each in model.replicas}
        assert held == model.num_replicas
        assert sum(group.num_pods for group in mine) == len(machines)
        assert sum(group.num_pods * group.num_cpus for group in mine) == held * model.num_cpus
        if model.name == "gpu":
            assert all(group.num_gpus <= group.node.gpus[0].count for group in mine)
            assert sum(group.num_pods * group.num_gpus for group in mine) == held
    assert len({group.name for group in groups}) == len(groups)


@given(fleets_and_plans())
def test_larger_pods_of_a_model_come_first(given: tuple[Fleet, Plan]) -> None:
    fleet, plan = given
    sizes = [group.num_gpus for group in worker_groups(plan, fleet) if group.model.name == "gpu"]
    assert sizes == sorted(sizes, reverse=True)


def test_equal_nodes_that_hold_alike_are_one_group() -> None:
    fleet = Fleet(nodes=(node("rack", gpus=4, count=3),))
    places = [("rack-1", 0), ("rack-1", 1), ("rack-2", 0), ("rack-2", 1), ("rack-3", 0)]
    plan = plan_of(model_plan("llama", "nvidia_gpu", [[place] for place in places]))
    groups = worker_groups(plan, fleet)
    assert [(group.name, group.num_pods, group.num_gpus) for group in groups] == [
        ("llama-rack-2x2", 2, 2),
        ("llama-rack-1x1", 1, 1),
    ]


def test_a_replica_over_two_nodes_leaves_one_pod_without_a_proxy() -> None:
    fleet = Fleet(nodes=(node("a", gpus=2), node("b", gpus=2)))
    spots = [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    groups = worker_groups(plan_of(model_plan("big", "nvidia_gpu", [spots])), fleet)
    assert {group.name: group.may_lack_replica for group in groups} == {
        "big-a": False,
        "big-b": True,
    }


def test_pods_that_may_use_a_whole_node_leave_kubernetes_a_cpu() -> None:
    fleet = Fleet(nodes=(node("a", cores=8), node("b", cores=64)))
    plan = plan_of(model_plan("m", "intel_cpu", [[("a", 0)], [("b", 0)]], num_cpus=8))
    # Both alike: either pod may be put on either node.
    assert [group.cpu_request for group in worker_groups(plan, fleet)] == [8 - SYSTEM_CPUS] * 2
    roomy = Fleet(nodes=(node("a", cores=9), node("b", cores=64)))
    assert [group.cpu_request for group in worker_groups(plan, roomy)] == [8, 8]


@pytest.mark.parametrize(("cores", "named"), [(15, "nodes.a.cores"), (64, None)])
def test_pods_that_do_not_fit_on_their_node_are_refused(cores: int, named: str | None) -> None:
    fleet = Fleet(nodes=(node("a", cores=cores, head=True),))
    plan = plan_of(model_plan("m", "intel_cpu", [[("a", 0)], [("a", 0)]], num_cpus=6))
    if named is None:
        assert len(worker_groups(plan, fleet)) == 1
        return
    with pytest.raises(ConfigError, match=named):
        worker_groups(plan, fleet)


def test_memory_that_a_node_lacks_is_refused() -> None:
    model = model_plan("m", "intel_cpu", [[("a", 0)]])
    asked = pod_bytes(model, Share(1, 1)) + HEAD_BYTES
    fleet = Fleet(nodes=(Node(name="a", cores=64, memory=asked - GIB, head=True),))
    with pytest.raises(ConfigError, match=r"nodes\.a\.memory"):
        worker_groups(plan_of(model), fleet)


def test_the_head_has_what_its_node_keeps() -> None:
    assert head_cpus(Node(name="a", cores=8, reserved_cores=2, memory=GIB, head=True)) == 2
    assert head_cpus(Node(name="a", cores=8, reserved_cores=0, memory=GIB, head=True)) == 1
    assert head_cpus(None) == head_cpus(node("a", head=True))


def test_a_name_that_is_too_long_is_refused() -> None:
    long = "m" * 60
    fleet = Fleet(nodes=(node("node"),))
    with pytest.raises(ConfigError, match="shorter name"):
        worker_groups(plan_of(model_plan(long, "intel_cpu", [[("node", 0)]])), fleet)
