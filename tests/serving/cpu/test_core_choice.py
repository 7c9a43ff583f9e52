"""serving.cpu.core_choice: nothing twice, nothing of others', all near each other if possible."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from serving.cpu.core_choice import Place, choose_cpus, choose_whole_cores
from serving.cpu.topology import Cpu, read_topology
from tests.serving.cpu.machines import Machine, hybrid, one_socket, two_sockets


def cpus_of(machine: Machine) -> tuple[Cpu, ...]:
    with tempfile.TemporaryDirectory() as folder:
        return read_topology(machine.write(Path(folder)), machine.cpus).cpus


def numbers(place: Place | None) -> list[int]:
    assert place is not None
    return [cpu.number for cpu in place.cpus]


def test_cores_come_first_and_their_hyper_threads_after():
    cpus = cpus_of(one_socket(4))
    assert numbers(choose_cpus(cpus, set(), 3)) == [0, 1, 2]
    assert numbers(choose_cpus(cpus, set(), 6)) == [0, 1, 2, 3, 4, 5]


def test_hyper_threads_of_others_cores_come_last():
    cpus = cpus_of(one_socket(4))
    place = choose_cpus(cpus, {0, 1}, 3)
    assert numbers(place) == [2, 3, 6]
    assert not place.shares_cores
    place = choose_cpus(cpus, {0, 1}, 5)
    assert numbers(place) == [2, 3, 6, 7, 4]
    assert place.shares_cores


def test_one_node_where_one_has_enough():
    cpus = cpus_of(two_sockets(4))
    assert numbers(choose_cpus(cpus, set(), 4)) == [0, 1, 2, 3]
    assert numbers(choose_cpus(cpus, {0, 1, 2, 3}, 4)) == [4, 5, 6, 7]
    assert numbers(choose_cpus(cpus, set(), 8)) == [0, 1, 2, 3, 16, 17, 18, 19]


def test_a_small_hole_is_filled_before_a_large_one_is_cut():
    cpus = cpus_of(two_sockets(4))
    half_of_node_2 = {8, 9, 24, 25}
    assert numbers(choose_cpus(cpus, half_of_node_2, 2)) == [10, 11]


def test_one_socket_where_no_node_has_enough():
    cpus = cpus_of(two_sockets(4))
    place = choose_cpus(cpus, {0}, 12)
    assert {cpu.socket for cpu in place.cpus} == {1}
    assert len({cpu.core for cpu in place.cpus}) == 8


def test_the_whole_machine_where_no_socket_has_enough():
    cpus = cpus_of(two_sockets(4))
    assert sorted(numbers(choose_cpus(cpus, set(), 32))) == list(range(32))
    assert choose_cpus(cpus, {0}, 32) is None


def test_fast_cores_come_before_slow_ones_and_slow_ones_before_hyper_threads():
    cpus = cpus_of(hybrid(capacities=True))
    assert numbers(choose_cpus(cpus, set(), 2)) == [0, 2]
    assert numbers(choose_cpus(cpus, set(), 4)) == [0, 2, 4, 5]
    assert numbers(choose_cpus(cpus, set(), 7)) == [0, 2, 4, 5, 6, 7, 1]


def test_whole_cores_come_with_their_hyper_threads():
    cpus = cpus_of(two_sockets(4))
    place = choose_whole_cores(cpus, set(), 2)
    assert [[cpu.number for cpu in group] for group in place.groups] == [[0, 16], [1, 17]]
    assert numbers(choose_whole_cores(cpus, {16}, 4)) == [4, 20, 5, 21, 6, 22, 7, 23]


def test_whole_cores_of_two_sockets_are_no_choice():
    cpus = cpus_of(two_sockets(4))
    assert len(choose_whole_cores(cpus, set(), 8).groups) == 8
    assert choose_whole_cores(cpus, set(), 9) is None
    assert choose_whole_cores(cpus, {0, 8}, 8) is None


@st.composite
def machines(draw) -> tuple[tuple[Cpu, ...], set[int]]:
    """Cores of one to three threads anywhere, and CPUs that others have."""
    cpus: list[Cpu] = []
    for _ in range(draw(st.integers(1, 12))):
        first, node = len(cpus), draw(st.integers(0, 3))
        capacity = draw(st.sampled_from([1024, 600]))
        cpus += [
            Cpu(first + thread, first, node // 2, node, capacity)
            for thread in range(draw(st.integers(1, 3)))
        ]
    return tuple(cpus), draw(st.sets(st.sampled_from([cpu.number for cpu in cpus])))


def regions(cpus, key) -> list[set[int]]:
    return [{cpu.number for cpu in cpus if key(cpu) == each} for each in {key(c) for c in cpus}]


@given(machines(), st.integers(1, 12))
def test_a_choice_is_of_free_cpus_no_one_twice_and_near_each_other(machine, num):
    cpus, taken = machine
    free = {cpu.number for cpu in cpus} - taken
    place = choose_cpus(cpus, taken, num)
    if len(free) < num:
        assert place is None
        return
    chosen = numbers(place)
    assert len(chosen) == len(set(chosen)) == num
    assert set(chosen) <= free
    for key in (lambda cpu: cpu.node, lambda cpu: cpu.socket):
        if any(len(region & free) >= num for region in regions(cpus, key)):
            assert any(set(chosen) <= region for region in regions(cpus, key))
            break
    busy = {cpu.core for cpu in cpus if cpu.number in taken}
    assert place.shares_cores == any(cpu.core in busy for cpu in place.cpus)


@given(machines(), st.integers(1, 12))
def test_a_hyper_thread_of_anothers_core_is_taken_only_where_nothing_else_is_near(machine, num):
    cpus, taken = machine
    place = choose_cpus(cpus, taken, num)
    if place is None or not place.shares_cores:
        return
    busy = {cpu.core for cpu in cpus if cpu.number in taken}
    own = {cpu.number for cpu in cpus if cpu.core not in busy}
    assert not any(len(region & own) >= num for region in regions(cpus, lambda cpu: cpu.node))


@given(machines(), st.integers(1, 12))
def test_whole_cores_are_nobody_elses_and_of_one_socket(machine, num):
    cpus, taken = machine
    place = choose_whole_cores(cpus, taken, num)
    whole = [cpu for cpu in cpus if cpu.core not in {c.core for c in cpus if c.number in taken}]
    most = max((len({c.core for c in whole if c.socket == socket}) for socket in (0, 1)), default=0)
    assert (place is not None) == (most >= num)
    if place is not None:
        chosen = numbers(place)
        assert len(set(chosen)) == len(chosen)
        assert not taken & set(chosen)
        assert len(place.groups) == num
        assert len({cpu.socket for cpu in place.cpus}) == 1
        cores = {cpu.core for cpu in place.cpus}
        assert set(chosen) == {cpu.number for cpu in cpus if cpu.core in cores}
