"""What this machine's CPU can: the flags that decide which kernels are exact on it."""

from __future__ import annotations

import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def int8_saturates() -> bool:
    """Whether this CPU adds products of uint8 and int8 in 16 bits, which may overflow."""
    return saturates(platform.machine(), cpu_flags())


def saturates(machine: str, flags: frozenset[str]) -> bool:
    """Whether such a CPU does: x86 before VNNI."""
    x86 = machine.lower() in ("x86_64", "amd64")
    return x86 and not flags & {"avx512_vnni", "avx_vnni"}


def cpu_flags() -> frozenset[str]:
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())
