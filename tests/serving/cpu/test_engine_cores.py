"""serving.cpu.engine_cores: replicas on one imitated machine, one after another."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest

from serving.cpu.core_plan import Wanted
from serving.cpu.engine_cores import EngineCores, take_cores
from serving.cpu.processor import Processor, parse_processor
from serving.cpu.topology import Topology, read_topology
from tests.serving.cpu.machines import one_socket, two_sockets
from tests.serving.cpu.test_processor import EPYC, OLD_XEON


class Host:
    """A machine whose reservations are of one test alone."""

    def __init__(self, topology: Topology | None) -> None:
        self._topology = topology
        self._name = f"anynode-test-{uuid.uuid4()}"

    def take(self, cpuinfo: str = EPYC, device: str | None = None, **wanted: Any) -> EngineCores:
        """Another replica's."""
        return asyncio.run(
            take_cores(
                Wanted(**wanted),
                self._topology,
                parse_processor(cpuinfo, "x86_64"),
                target_device=device,
                name=self._name,
                patience_s=0.0,
            )
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Two sockets, four NUMA nodes, 16 cores, 32 CPUs."""
    machine = two_sockets(4)
    return Host(read_topology(machine.write(tmp_path), machine.cpus))


def test_replicas_get_a_node_each_until_there_is_none(host):
    replicas = [host.take(num_cpus=8) for _ in range(4)]
    uses = [each.use for each in replicas]
    assert [use.cores for use in uses] == ["0-3,16-19", "4-7,20-23", "8-11,24-27", "12-15,28-31"]
    assert [use.numa_nodes for use in uses] == [(0,), (1,), (2,), (3,)]
    assert all(use.pinned and not use.warnings for use in uses)
    late = host.take(num_cpus=8).use
    assert (late.cores, late.pinned, late.num_threads) == ("0-31", False, 8)
    assert "8 CPUs were wanted for the engine alone" in late.warnings[0]


def test_what_is_released_is_there_for_the_next(host):
    first = host.take(num_cpus=32)
    assert not host.take(num_cpus=1).use.pinned
    first.release()
    first.release()
    assert host.take(num_cpus=1).use.cores == "0"


def test_a_share_of_a_socket_each(host):
    wanted = {"num_cpus": 8, "node_cpus": 32, "replicas_per_socket": 2}
    replicas = [host.take(**wanted) for _ in range(5)]
    uses = [each.use for each in replicas]
    assert [use.cores for use in uses[:2]] == ["0-3,16-19", "4-7,20-23"]
    assert [use.num_threads for use in uses] == [4] * 5
    assert [use.pinned for use in uses] == [True, True, True, True, False]


def test_a_replica_on_anothers_hyper_threads_is_told(host):
    replicas = [host.take(num_cpus=4) for _ in range(5)]
    assert [each.use.warnings for each in replicas[:4]] == [()] * 4
    shared = replicas[4].use
    assert shared.pinned
    assert "--num-cpus=16, the number of its cores" in shared.warnings[0]


def test_the_cpu_is_told(host):
    use = host.take(OLD_XEON, "AMD", num_cpus=1).use
    assert (use.vendor, use.instruction_sets) == ("Intel", ("AVX2",))
    assert "AVX512-VNNI or AVX-VNNI" in use.missing_instruction_sets
    assert "set target_device: INTEL" in use.warnings[0]
    assert use.sentence() == (
        "1 thread on CPUs 0 of NUMA node 0 (pinned); "
        "Intel(R) Xeon(R) CPU E5-2690 v4 @ 2.60GHz, AVX2"
    )


def test_a_system_that_tells_no_cpus():
    use = Host(None).take("", num_cpus=2).use
    assert (use.num_threads, use.cores, use.numa_nodes, use.pinned) == (2, "", (), False)
    assert use.sentence() == "2 threads (not pinned); unknown, no instruction sets known"
    assert Processor("x86_64").model == use.model


def test_http_has_what_the_engine_leaves(tmp_path):
    machine = one_socket(2)
    host = Host(read_topology(machine.write(tmp_path), machine.cpus))
    taken = host.take(num_cpus=2, num_threads=1)
    assert taken.use.cores == "0"
    assert taken.num_cpus == 2
    assert not host.take(num_cpus=3).use.pinned  # two are left of four
