"""serving.cpu.topology, on imitated machines and on this one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.cpu import topology
from serving.cpu.topology import Cpu, format_cpus, parse_cpus, read_topology, this_machine
from tests.serving.cpu.machines import Machine, hybrid, one_socket, two_sockets


def read(machine: Machine, root: Path, allowed: set[int] | None = None) -> topology.Topology:
    return read_topology(machine.write(root), machine.cpus if allowed is None else allowed)


def test_hyper_threads_share_a_core(tmp_path):
    found = read(one_socket(4), tmp_path)
    assert [cpu.core for cpu in found.cpus] == [0, 1, 2, 3, 0, 1, 2, 3]
    assert found.cores_of_sockets() == {0: 4}
    assert found.quota is None


def test_sockets_and_nodes(tmp_path):
    found = read(two_sockets(2), tmp_path)
    assert [cpu.socket for cpu in found.cpus] == 2 * [0, 0, 0, 0, 1, 1, 1, 1]
    assert [cpu.node for cpu in found.cpus] == 2 * [0, 0, 1, 1, 2, 2, 3, 3]
    assert found.cores_of_sockets() == {0: 4, 1: 4}


@pytest.mark.parametrize("capacities", [True, False])
def test_small_cores_are_known_to_be_slower(tmp_path, capacities):
    found = read(hybrid(capacities=capacities), tmp_path)
    assert {cpu.capacity for cpu in found.cpus if cpu.number < 4} == {1024}
    assert all(cpu.capacity < 1024 for cpu in found.cpus if cpu.number >= 4)


def test_cpus_that_are_off_are_not_there(tmp_path):
    machine = one_socket(4)
    machine.offline = (1, 4)
    found = read(machine, tmp_path)
    assert [(cpu.number, cpu.core) for cpu in found.cpus] == [
        (0, 0),
        (2, 2),
        (3, 3),
        (5, 5),
        (6, 2),
        (7, 3),
    ]


def test_a_container_sees_the_cpus_it_is_given(tmp_path):
    found = read(two_sockets(2), tmp_path, allowed={4, 5, 12, 99})
    assert [(cpu.number, cpu.core, cpu.node) for cpu in found.cpus] == [
        (4, 4, 2),
        (5, 5, 2),
        (12, 4, 2),
    ]


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"sys/fs/cgroup/cpu.max": "400000 100000"}, 4),
        ({"sys/fs/cgroup/cpu.max": "max 100000"}, None),
        ({"sys/fs/cgroup/cpu.max": "50000 100000", "proc/self/cgroup": "0::/"}, 0.5),
        (  # a service, of which a slice around it has the smaller limit
            {
                "proc/self/cgroup": "0::/a.slice/b.service",
                "sys/fs/cgroup/a.slice/cpu.max": "200000 100000",
                "sys/fs/cgroup/a.slice/b.service/cpu.max": "300000 100000",
            },
            2,
        ),
        (
            {
                "proc/self/cgroup": "3:cpuset:/x\n2:cpu,cpuacct:/docker/abc",  # the host's path
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            1.5,
        ),
        (
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            None,
        ),
    ],
)
def test_a_containers_time(tmp_path, files, quota):
    machine = one_socket(4)
    machine.files = files
    found = read(machine, tmp_path)
    assert found.quota == quota
    assert found.shares_time is (quota is not None)


def test_time_for_all_its_cpus_is_no_limit(tmp_path):
    machine = one_socket(1)
    machine.files = {"sys/fs/cgroup/cpu.max": "200000 100000"}
    assert not read(machine, tmp_path).shares_time


@pytest.mark.parametrize(
    ("in_pod", "cpu_max", "allowed", "unlimited"),
    [
        (True, "max 100000", {0, 1}, True),
        (True, "200000 100000", {0, 1}, False),  # it may use all of the machine
        (True, "max 100000", {0}, False),  # its CPUs are its own
        (False, "max 100000", {0, 1}, False),
    ],
)
def test_a_pod_without_a_limit(tmp_path, in_pod, cpu_max, allowed, unlimited):
    machine = one_socket(1)
    machine.files = {"sys/fs/cgroup/cpu.max": cpu_max}
    found = read_topology(machine.write(tmp_path), allowed, in_pod=in_pod)
    assert found.unlimited_pod is unlimited


def test_the_older_name_of_hyper_threads(tmp_path):
    machine = one_socket(2)
    machine.write(tmp_path)
    for path in tmp_path.rglob("core_cpus_list"):
        path.rename(path.with_name("thread_siblings_list"))
    assert [cpu.core for cpu in read_topology(tmp_path, machine.cpus).cpus] == [0, 1, 0, 1]


def test_where_nothing_is_told_every_cpu_is_a_core(tmp_path):
    assert read_topology(tmp_path, {3, 1}).cpus == (Cpu(1, core=1), Cpu(3, core=3))


def test_a_socket_that_is_unknown_is_the_first(tmp_path):
    machine = one_socket(1)
    machine.socket_of = {0: -1, 1: -1}
    assert read(machine, tmp_path).cores_of_sockets() == {0: 1}


def test_this_machine():
    found = this_machine()
    assert found is not None
    assert {cpu.number for cpu in found.cpus} == os.sched_getaffinity(0)


def test_a_system_that_does_not_say(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert this_machine() is None


@pytest.mark.parametrize(
    ("text", "numbers"), [("", set()), ("0", {0}), ("0-2,5\n", {0, 1, 2, 5}), ("7,1", {1, 7})]
)
def test_linux_lists(text, numbers):
    assert parse_cpus(text) == numbers


@given(st.sets(st.integers(0, 40)))
def test_lists_there_and_back(numbers):
    assert parse_cpus(format_cpus(numbers)) == numbers


def test_lists_are_short():
    assert format_cpus({0, 1, 2, 3, 8, 10, 11}) == "0-3,8,10-11"
