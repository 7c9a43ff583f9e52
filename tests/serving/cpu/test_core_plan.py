"""serving.cpu.core_plan: threads, CPUs and what the operator is told, on imitated machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serving.cpu.core_choice import Place
from serving.cpu.core_plan import Plan, Wanted, engine_cpus, http_cpus, plan, remarks
from serving.cpu.topology import Topology, read_topology
from tests.serving.cpu.machines import Machine, hybrid, one_socket, two_sockets


def topology(machine: Machine, root: Path, quota: str = "max 100000") -> Topology:
    machine.files["sys/fs/cgroup/cpu.max"] = quota
    return read_topology(machine.write(root), machine.cpus)


@pytest.fixture
def big(tmp_path: Path) -> Topology:
    """Two sockets of eight cores with hyper-threads, two NUMA nodes each."""
    return topology(two_sockets(4), tmp_path)


def chosen(plan: Plan, taken: set[int] = frozenset()) -> Place:
    assert plan.choose is not None
    place = plan.choose(taken)
    assert place is not None
    return place


def numbers(cpus: Any) -> list[int]:
    return [cpu.number for cpu in cpus]


def test_threads_are_the_cpus_that_ray_gave(big):
    made = plan(Wanted(num_cpus=4), big)
    assert made.num_threads == 4
    assert numbers(engine_cpus(chosen(made), 4)) == [0, 1, 2, 3]
    assert http_cpus(chosen(made), 4) == ()
    assert made.warnings == ()


def test_fewer_threads_than_cpus_leave_the_rest_to_http(big):
    made = plan(Wanted(num_cpus=4, num_threads=3), big)
    place = chosen(made)
    assert numbers(engine_cpus(place, 3)) == [0, 1, 2]
    assert numbers(http_cpus(place, 3)) == [3]


def test_more_threads_than_cpus_are_told_that_ray_does_not_know(big):
    made = plan(Wanted(num_cpus=2, num_threads=4), big)
    assert len(chosen(made).cpus) == 4
    assert "set num_cpus: 4" in made.warnings[0]


def test_threads_may_be_said_outside_ray(big):
    made = plan(Wanted(num_threads=2), big)
    assert numbers(chosen(made).cpus) == [0, 1]
    assert made.warnings == ()


@pytest.mark.parametrize("num_cpus", [0, 0.5])
def test_a_part_of_a_cpu_is_shared(big, num_cpus):
    made = plan(Wanted(num_cpus=num_cpus), big)
    assert (made.num_threads, made.choose) == (1, None)
    assert f"num_cpus: {num_cpus:g} is no whole CPU" in made.warnings[0]


def test_nothing_is_chosen_where_nobody_wants_it(big):
    assert plan(Wanted(num_cpus=0.5, pin=False), big) == Plan(1, 1)
    assert plan(Wanted(num_cpus=3, pin=False), big) == Plan(3, 3)
    assert plan(Wanted(num_cpus=3), None) == Plan(3, 3)


def test_a_share_of_a_socket_is_its_cores_with_their_hyper_threads(big):
    wanted = Wanted(num_cpus=8, node_cpus=32, replicas_per_socket=2)
    made = plan(wanted, big)
    assert made.num_threads == 4
    first = chosen(made)
    assert numbers(engine_cpus(first, 4)) == [0, 16, 1, 17, 2, 18, 3, 19]
    second = chosen(made, set(numbers(first.cpus)))
    assert numbers(second.cpus) == [4, 20, 5, 21, 6, 22, 7, 23]
    assert made.warnings == ()


def test_a_share_of_a_socket_may_leave_a_core_to_http(big):
    made = plan(Wanted(num_cpus=16, node_cpus=32, replicas_per_socket=1, num_threads=7), big)
    place = chosen(made)
    assert len(engine_cpus(place, 7)) == 14
    assert numbers(http_cpus(place, 7)) == [7, 23]


def test_a_socket_that_does_not_divide_is_told_in_figures(big):
    made = plan(Wanted(num_cpus=5, node_cpus=32, replicas_per_socket=3), big)
    assert made.num_threads == 2
    assert any("8 cores of a socket here / 3 replicas = 2 and 2 left" in w for w in made.warnings)


def test_more_replicas_than_a_socket_has_cores(tmp_path):
    made = plan(Wanted(num_cpus=1, replicas_per_socket=4), topology(one_socket(2), tmp_path))
    assert made.num_threads == 1
    assert any("2 cores of a socket here / 4 replicas = 0" in each for each in made.warnings)


def test_rays_number_must_put_as_many_replicas_there(big):
    made = plan(Wanted(num_cpus=4, node_cpus=32, replicas_per_socket=2), big)
    assert "with num_cpus: 4 Ray puts 8 on its 32 CPUs; set num_cpus: 8" in made.warnings[0]


def test_a_container_that_has_a_part_of_the_time_keeps_no_cpu(tmp_path):
    confined = topology(one_socket(4), tmp_path, quota="200000 100000")
    made = plan(Wanted(num_cpus=2), confined)
    assert (made.num_threads, made.choose) == (2, None)
    assert "the time of 2 CPUs on 8" in made.warnings[0]
    assert len(made.warnings) == 1


def test_a_pod_without_a_limit_keeps_no_cpu(tmp_path):
    machine = one_socket(4)
    pod = read_topology(machine.write(tmp_path), machine.cpus, in_pod=True)
    made = plan(Wanted(num_cpus=2), pod)
    assert made.choose is None
    assert "no limit of CPUs" in made.warnings[0]


def test_whoever_knows_that_no_other_container_is_there_may_say_so(tmp_path):
    confined = topology(one_socket(4), tmp_path, quota="200000 100000")
    made = plan(Wanted(num_cpus=2, pin=True), confined)
    assert len(chosen(made).cpus) == 2
    assert made.warnings == ()


def test_threads_beyond_a_containers_time_are_told(tmp_path):
    confined = topology(one_socket(4), tmp_path, quota="150000 100000")
    made = plan(Wanted(num_cpus=4), confined)
    assert "set num_cpus: 1" in made.warnings[1]


def test_hyper_threads_of_anothers_cores_are_told(tmp_path):
    machine = topology(one_socket(2), tmp_path)
    place = chosen(plan(Wanted(num_cpus=2), machine), {0, 1})
    (said,) = remarks(place, 2, machine)
    assert "--num-cpus=2" in said


def test_a_replica_in_pieces_is_told(big):
    taken = {cpu.number for cpu in big.cpus if cpu.number % 4 < 2}
    place = chosen(plan(Wanted(num_cpus=6), big), taken)
    said = remarks(place, 6, big)
    assert any("spread over NUMA nodes" in each for each in said)


def test_a_replica_wider_than_a_node_is_no_surprise(big):
    place = chosen(plan(Wanted(num_cpus=16), big))
    assert remarks(place, 16, big) == []


def test_slow_cores_are_told(tmp_path):
    laptop = topology(hybrid(capacities=True), tmp_path)
    assert remarks(chosen(plan(Wanted(num_cpus=2), laptop)), 2, laptop) == []
    (said,) = remarks(chosen(plan(Wanted(num_cpus=3), laptop)), 3, laptop)
    assert "1 of its 3 CPUs are slow cores" in said
    assert "num_cpus: 2" in said
