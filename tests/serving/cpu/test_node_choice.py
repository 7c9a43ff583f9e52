"""serving.cpu.node_choice: which nodes hold a replica, and what is said when none can."""

from __future__ import annotations

import math
from typing import Any

import pytest

from serving.cpu.node_choice import Node, SocketCores, cpus_of_share, fitting_nodes, room
from serving.errors import ConfigError

HEAD = Node({"CPU": 4.0, "memory": 1e9, "node:10.0.0.1": 1.0}, {}, "head")
AMD = Node({"CPU": 128.0, "amd_cpu": 1.0}, {"cpu-vendor": "AMD"}, "amd")
INTEL = Node({"CPU": 224.0}, {"cpu-vendor": "Intel"}, "intel")
NODES = [HEAD, AMD, INTEL]


def fits(**options: Any) -> list[str]:
    return [node.node_id for node in fitting_nodes(options, NODES)]


def refused(nodes: list[Node] | None = None, **options: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        fitting_nodes(options, NODES if nodes is None else nodes)
    return caught.value


def test_nodes_are_those_with_enough_of_everything():
    assert fits() == ["head", "amd", "intel"]
    assert fits(num_cpus=100) == ["amd", "intel"]
    assert fits(num_cpus=100, resources={"amd_cpu": 0.5}) == ["amd"]
    assert fits(label_selector={"cpu-vendor": "Intel"}) == ["intel"]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("AMD", ["amd"]),
        ("!AMD", ["head", "intel"]),
        ("in(AMD, Intel)", ["amd", "intel"]),
        ("!in(AMD,Intel)", ["head"]),
    ],
)
def test_rays_conditions_on_labels(condition, found):
    assert fits(label_selector={"cpu-vendor": condition}) == found


def test_other_labels_that_would_do_are_left_to_ray():
    selector = {"label_selector": {"cpu-vendor": "ARM"}}
    assert fits(**selector, fallback_strategy=[selector]) == ["head", "amd", "intel"]


def test_too_many_cpus_are_told_with_what_there_is():
    error = refused(num_cpus=256)
    assert error.param == "num_cpus"
    assert "needs 256 CPUs of one node" in error.message
    assert "have 224, 128, 4; set num_cpus (or num_threads): 224 or less" in error.message


def test_cpus_are_counted_on_the_nodes_that_the_rest_allows():
    error = refused(num_cpus=224, resources={"amd_cpu": 1})
    assert "that may hold it have 128; set num_cpus (or num_threads): 128" in error.message


def test_a_resource_that_no_node_has_is_told_with_those_there_are():
    error = refused(resources={"intel_cpu": 1})
    assert error.param == "ray_actor_options"
    assert "1 of the resource 'intel_cpu'" in error.message
    assert "(there are amd_cpu)" in error.message
    assert "there are none at all" in refused([HEAD], resources={"intel_cpu": 1}).message


def test_too_much_of_a_resource():
    assert "(one has 1 at most)" in refused(resources={"amd_cpu": 2}).message


def test_a_label_that_no_node_has():
    error = refused(label_selector={"cpu-vendor": "ARM"})
    assert error.param == "label_selector"
    assert "(there are AMD, Intel)" in error.message
    assert "there are none at all" in refused(label_selector={"zone": "a"}).message


def test_a_cluster_without_nodes():
    assert "have none" in refused([], num_cpus=1).message


@pytest.mark.parametrize(
    ("options", "holds"),
    [
        ({"num_cpus": 64}, 2 + 3),
        ({"num_cpus": 0.1}, 40 + 1280 + 2240),
        ({"num_cpus": 0, "resources": {"amd_cpu": 0.25}}, 4),
        ({"num_cpus": 0}, math.inf),
    ],
)
def test_room_for_replicas(options, holds):
    nodes = [node for node in NODES if node.resources["CPU"] >= options["num_cpus"]]
    assert room(options, nodes) == holds


def test_a_socket_shared_by_replicas_in_rays_cpus():
    by_threads = SocketCores(64, (16, 16))
    by_cores = SocketCores(32, (16, 16))
    assert cpus_of_share(1, [by_threads]) == 32
    assert cpus_of_share(2, [by_threads, by_threads]) == 16
    assert cpus_of_share(4, [by_cores]) == 4


def test_cpus_kept_back_for_the_system_do_no_harm():
    assert cpus_of_share(2, [SocketCores(220, (56, 56))]) == 55


def refused_share(replicas: int, *nodes: SocketCores) -> str:
    with pytest.raises(ConfigError) as caught:
        cpus_of_share(replicas, nodes)
    assert caught.value.param == "replicas_per_socket"
    return caught.value.message


def test_cores_that_do_not_divide_are_told_with_what_does():
    said = refused_share(3, SocketCores(56, (28,)))
    assert "28 cores of a socket / 3 replicas = 9 and 1 left over" in said
    assert "use 1, 2, 4, 7, 14 or 28" in said


def test_nodes_that_differ_need_a_choice():
    said = refused_share(1, SocketCores(64, (16, 16)), SocketCores(128, (64,)))
    assert "64 CPUs on 2 sockets make 32; 128 CPUs on 1 sockets make 128" in said
    assert "label_selector" in said


def test_cpus_with_which_ray_would_place_more_or_fewer():
    assert "--num-cpus=8, its cores" in refused_share(2, SocketCores(7, (4, 4)))
    assert "--num-cpus=8, its cores" in refused_share(2, SocketCores(2, (4, 4)))
