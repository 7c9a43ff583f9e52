"""What known GPUs and CPUs can do: memory, its speed, products per second, the way between GPUs.

Numbers are the vendors' data sheets' (dense, without sparsity), memory is what nvidia-smi or
rocm-smi shows of it. Products named in no row are asked for in the fleet file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from inference.plan.fleet import Gpus, GpuVendor, Node, Vendor
from serving.errors import ConfigError

MIB = 2**20
GB_S = 1e9
TERA = 1e12


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; rates are per second."""

    vendor: GpuVendor
    memory_bytes: int
    bandwidth: float  # bytes read from its memory
    flops_16bit: float  # of matrix products in bfloat16 or float16
    link: float  # bytes to other GPUs of the node, one direction


def _gpu(vendor: GpuVendor, mib: int, gb_s: float, tflops: float, link_gb_s: float) -> Gpu:
    return Gpu(vendor, mib * MIB, gb_s * GB_S, tflops * TERA, link_gb_s * GB_S)


# The words by which a product is known, the longest that fits first; see `_key`.
KNOWN_GPUS = {
    "a100 40gb": _gpu("NVIDIA", 40960, 1555, 312, 300),
    "a100 sxm4 80gb": _gpu("NVIDIA", 81920, 2039, 312, 300),
    "a100 80gb": _gpu("NVIDIA", 81920, 1935, 312, 32),  # PCIe
    "h100 pcie": _gpu("NVIDIA", 81559, 2000, 756, 64),
    "h100": _gpu("NVIDIA", 81559, 3350, 989, 450),
    "h200": _gpu("NVIDIA", 143771, 4800, 989, 450),
    "l4": _gpu("NVIDIA", 23034, 300, 121, 16),
    "l40s": _gpu("NVIDIA", 46068, 864, 362, 32),
    "a10g": _gpu("NVIDIA", 23028, 600, 70, 32),
    "a10": _gpu("NVIDIA", 23028, 600, 125, 32),
    "a40": _gpu("NVIDIA", 46068, 696, 149.7, 32),
    "a6000": _gpu("NVIDIA", 49140, 768, 154.8, 32),
    "t4": _gpu("NVIDIA", 15360, 320, 65, 16),
    "v100 16gb": _gpu("NVIDIA", 16384, 900, 125, 150),
    "v100 32gb": _gpu("NVIDIA", 32768, 900, 125, 150),
    "rtx 3090": _gpu("NVIDIA", 24576, 936, 71, 32),
    "rtx 4090": _gpu("NVIDIA", 24564, 1008, 165, 32),
    "orin 64gb": _gpu("NVIDIA", 65536, 204.8, 42, 0),  # memory shared with its CPU
    "mi210": _gpu("AMD", 65520, 1638, 181, 32),
    "mi250": _gpu("AMD", 65520, 1638, 181, 50),  # of each of a card's two devices
    "mi300x": _gpu("AMD", 196592, 5300, 1307, 448),
}

# Memory channels of usual servers: 8 of DDR5-4800 a socket at Intel, 8 of DDR4-3200 at AMD.
# Newer ones have more: say memory_bandwidth in the fleet file, or let --this-machine measure it.
SOCKET_BANDWIDTH: dict[Vendor, float] = {"INTEL": 307.2 * GB_S, "AMD": 204.8 * GB_S}

# Products per second of one core when all compute: half of what one core of two was measured to do
# (int8 856e9 with VNNI, bfloat16 411e9; docs/plan.md), because many cores clock lower.
CORE_OPS_INT8 = 428e9
CORE_FLOPS_16BIT = 205e9


def find_gpu(gpus: Gpus, node: str) -> Gpu:
    """What a node's GPUs are; a file's own numbers come before the table's.

    Raises ConfigError for a product that is not known and not told of either.
    """
    known = _known(gpus.product)
    if known is None:
        if gpus.memory is None or gpus.memory_bandwidth is None or gpus.vendor is None:
            raise ConfigError(
                f"nodes.{node}.gpus: '{gpus.product}' is not among the GPUs known here "
                f"({', '.join(sorted(KNOWN_GPUS))}); set its vendor, memory and memory_bandwidth",
                param="gpus",
            )
        # Cards of the last ten years do at least so much for each byte that they can read.
        guess = gpus.memory_bandwidth * 75.0
        return Gpu(gpus.vendor, gpus.memory, gpus.memory_bandwidth, guess, 16 * GB_S)
    return Gpu(
        gpus.vendor or known.vendor,
        gpus.memory or known.memory_bytes,
        gpus.memory_bandwidth or known.bandwidth,
        known.flops_16bit,
        known.link,
    )


def _known(product: str) -> Gpu | None:
    """The row all of whose words are in the product's name; the row with the most words."""
    words = set(_words(product))
    fitting = [row for row in KNOWN_GPUS if words.issuperset(row.split())]
    return KNOWN_GPUS[max(fitting, key=lambda row: len(row.split()))] if fitting else None


def _words(product: str) -> Iterator[str]:
    """`NVIDIA-A100-SXM4-80GB`, `RTX4090` and `A100 80 GB` in words that rows are made of."""
    text = re.sub(r"(\d+) +(gb)\b", r"\1\2", product.lower().replace("gib", "gb"))
    for word in filter(None, re.split(r"[^a-z0-9]+", text)):
        split = re.fullmatch(r"(rtx)(\w+)", word)
        yield from split.groups() if split else (word,)


def socket_bandwidth(node: Node) -> float:
    """Bytes/s that one socket's cores read from its memory."""
    if node.memory_bandwidth is not None:
        return node.memory_bandwidth / node.sockets
    return SOCKET_BANDWIDTH[node.vendor]
