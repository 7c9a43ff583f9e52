import pytest

from inference.plan.devices import KNOWN_GPUS, find_gpu, socket_bandwidth
from inference.plan.fleet import Gpus
from serving.errors import ConfigError
from tests.inference.plan.fleets import cpu_node


@pytest.mark.parametrize(
    ("product", "row"),
    [
        ("NVIDIA-A100-SXM4-80GB", "a100 sxm4 80gb"),  # as GPU feature discovery says it
        ("NVIDIA A100-SXM4-80GB", "a100 sxm4 80gb"),  # as nvidia-smi does
        ("NVIDIA-A100-80GB-PCIe", "a100 80gb"),
        ("NVIDIA-A100-PCIE-40GB", "a100 40gb"),
        ("NVIDIA-H100-80GB-HBM3", "h100"),
        ("NVIDIA-H100-PCIe", "h100 pcie"),
        ("H100-PCIe-80GB", "h100 pcie"),
        ("NVIDIA-L4", "l4"),
        ("NVIDIA-L40S", "l40s"),
        ("Tesla-T4", "t4"),
        ("NVIDIA-GeForce-RTX-4090", "rtx 4090"),
        ("RTX4090", "rtx 4090"),
        ("NVIDIA-RTX-A6000", "a6000"),
        ("AMD_Instinct_MI300X_OAM", "mi300x"),
        ("AMD-Instinct-MI210", "mi210"),
    ],
)
def test_products_are_known_by_the_names_that_tools_give_them(product: str, row: str) -> None:
    assert find_gpu(Gpus(product=product), "n") == KNOWN_GPUS[row]


def test_a_file_knows_better_than_the_table() -> None:
    gpu = find_gpu(Gpus(product="A100-SXM4-80GB", memory="40GiB"), "n")
    assert gpu.memory_bytes == 40 * 2**30
    assert gpu.bandwidth == KNOWN_GPUS["a100 sxm4 80gb"].bandwidth


def test_an_unknown_product_must_be_described() -> None:
    with pytest.raises(ConfigError, match=r"nodes\.n\.gpus: 'X9000' is not .*memory_bandwidth"):
        find_gpu(Gpus(product="X9000", memory="10GB"), "n")
    told = Gpus(product="X9000", memory="10GB", memory_bandwidth="500GB", vendor="AMD")
    assert find_gpu(told, "n").vendor == "AMD"


def test_a_socket_reads_its_part_of_the_memory() -> None:
    assert socket_bandwidth(cpu_node(memory_bandwidth="600GB")) == 300e9
    assert socket_bandwidth(cpu_node(vendor="AMD")) < socket_bandwidth(cpu_node(vendor="INTEL"))
