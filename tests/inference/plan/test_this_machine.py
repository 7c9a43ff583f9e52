import pytest

from inference.gpus_here import Gpu
from inference.plan.fleet import Node
from inference.plan.this_machine import (
    cpus,
    find_node,
    gpu_entries,
    measured_bandwidth,
    num_cpus,
)
from serving.cpu.processor import this_processor
from serving.cpu.topology import Cpu, Topology

TWO_SOCKETS = Topology(tuple(Cpu(n, core=n % 4, socket=n % 4 // 2) for n in range(8)))
known_cpu = pytest.mark.skipif(
    this_processor().vendor not in ("Intel", "AMD"), reason="neither Intel's nor AMD's CPU"
)


@known_cpu
def test_this_machine_is_a_node() -> None:
    node = Node.model_validate(find_node())
    assert node.memory > 0
    assert node.memory_bandwidth is not None
    assert 1e9 < node.memory_bandwidth < 2e12


def test_cores_and_sockets_are_those_of_the_topology() -> None:
    assert cpus(TWO_SOCKETS) == {"cores": 8, "sockets": 2, "threads_per_core": 2}


def test_a_container_has_no_more_than_its_quota() -> None:
    assert num_cpus(Topology(TWO_SOCKETS.cpus, quota=2.5)) == 2
    assert num_cpus(Topology(TWO_SOCKETS.cpus, quota=0.5)) == 1


def test_little_memory_is_measured_with_little() -> None:
    assert measured_bandwidth(1, 2**24) > 1e8


def test_equal_gpus_are_one_entry() -> None:
    big, small = Gpu("NVIDIA A100-SXM4-80GB", "NVIDIA", 80 * 2**30), Gpu("L4", "NVIDIA", None)
    assert gpu_entries([big, big, small]) == [
        {"product": big.product, "vendor": "NVIDIA", "count": 2, "memory": 80 * 2**30},
        {"product": "L4", "vendor": "NVIDIA", "count": 1},
    ]
    assert gpu_entries([]) == []
