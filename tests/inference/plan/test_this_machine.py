import pytest

from inference.plan.fleet import Node
from inference.plan.this_machine import (
    amd_gpus,
    cpus,
    find_node,
    measured_bandwidth,
    num_cpus,
    nvidia_gpus,
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


def test_nvidia_smi_s_words_are_read() -> None:
    said = "NVIDIA A100-SXM4-80GB, 81920\nNVIDIA A100-SXM4-80GB, 81920\nTesla T4, 15360\n"
    assert [(each["product"], each["count"]) for each in nvidia_gpus(said)] == [
        ("NVIDIA A100-SXM4-80GB", 2),
        ("Tesla T4", 1),
    ]
    assert nvidia_gpus(said)[0]["memory"] == 80 * 2**30
    assert nvidia_gpus("") == []


def test_rocm_smi_s_words_are_read() -> None:
    said = (
        '{"card0": {"VRAM Total Memory (B)": "206141652992", "Card Series": "AMD Instinct MI300X"},'
        ' "card1": {"VRAM Total Memory (B)": "206141652992", "Card Series": "AMD Instinct MI300X"},'
        ' "system": {}}'
    )
    assert amd_gpus(said) == [
        {"product": "AMD Instinct MI300X", "memory": 206141652992, "vendor": "AMD", "count": 2}
    ]
    assert amd_gpus("") == []
