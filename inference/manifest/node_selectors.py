"""What Kubernetes' labels say of a node's hardware.

Written by Node Feature Discovery (CPUs), NVIDIA's GPU feature discovery and AMD's node labeller.
"""

from __future__ import annotations

from inference.plan.fleet import DeviceKind, Gpus, Node
from serving.errors import ConfigError

VENDOR_ID = "feature.node.kubernetes.io/cpu-model.vendor_id"
VENDOR_IDS = {"INTEL": "Intel", "AMD": "AMD"}

NVIDIA_PRODUCT = "nvidia.com/gpu.product"
NVIDIA_COUNT = "nvidia.com/gpu.count"
# nvidia-smi's names where they are not the usual ones with NVIDIA in front.
NVIDIA_PRODUCTS = {"H100-PCIe-80GB": "NVIDIA-H100-PCIe", "H100-SXM5-80GB": "NVIDIA-H100-80GB-HBM3"}

# The oldest of the labeller's labels and in all of its versions; the value is the number of GPUs.
AMD_DEVICE = "beta.amd.com/gpu.device-id.{}"
AMD_DEVICE_IDS = {
    "MI100": "738c",
    "MI210": "740f",
    "MI300A": "74a0",
    "MI300X": "74a1",
    "MI325X": "74a5",
}


def node_selector(node: Node, kind: DeviceKind | None = None) -> dict[str, str]:
    """The labels of such a node; its GPUs' too where the pod is for them."""
    vendor = {VENDOR_ID: VENDOR_IDS[node.vendor]}
    if kind == "nvidia_gpu":
        return vendor | _nvidia(gpus_of(node))
    if kind == "amd_gpu":
        return vendor | _amd(gpus_of(node))
    return vendor


def gpus_of(node: Node) -> Gpus:
    """Its GPUs; raises ConfigError where they are not all of one product."""
    if len(node.gpus) != 1:
        raise ConfigError(
            f"nodes.{node.name}.gpus: a pod cannot say which of several products of GPU it is to "
            "have; a manifest needs nodes with GPUs of one product",
            param="gpus",
        )
    return node.gpus[0]


def _nvidia(gpus: Gpus) -> dict[str, str]:
    product = gpus.product if gpus.product.startswith("NVIDIA-") else f"NVIDIA-{gpus.product}"
    product = NVIDIA_PRODUCTS.get(gpus.product, product).replace(" ", "-")
    return {NVIDIA_PRODUCT: product, NVIDIA_COUNT: str(gpus.count)}


def _amd(gpus: Gpus) -> dict[str, str]:
    device_id = AMD_DEVICE_IDS.get(gpus.product)
    if device_id is None:
        raise ConfigError(
            f"gpus.product: the device id of '{gpus.product}', by which AMD's node labeller names "
            f"it, is not known; known are {', '.join(AMD_DEVICE_IDS)}",
            param="gpus",
        )
    return {AMD_DEVICE.format(device_id): str(gpus.count)}
