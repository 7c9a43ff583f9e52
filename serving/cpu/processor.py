"""What CPU this is and which instruction sets it has, from /proc/cpuinfo."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

CPUINFO = Path("/proc/cpuinfo")

Vendor = Literal["Intel", "AMD", "ARM", "unknown"]
VENDORS: dict[str, Vendor] = {"GenuineIntel": "Intel", "AuthenticAMD": "AMD"}
X86 = frozenset({"x86_64", "amd64"})

# Those that engines have kernels for: our word, and Linux's flag.
INSTRUCTION_SETS = {
    "AVX2": "avx2",
    "AVX512": "avx512f",
    "AVX512-VNNI": "avx512_vnni",
    "AVX-VNNI": "avx_vnni",
    "AVX512-BF16": "avx512_bf16",
    "AMX-INT8": "amx_int8",
    "AMX-BF16": "amx_bf16",
    "NEON": "asimd",
    "DOTPROD": "asimddp",
    "I8MM": "i8mm",
    "BF16": "bf16",
    "SVE": "sve",
}


@dataclass(frozen=True, slots=True)
class Processor:
    """One machine's CPU; the flags are Linux's words, and none are known elsewhere."""

    machine: str  # platform.machine(): x86_64, aarch64
    vendor: Vendor = "unknown"
    model: str = "unknown"
    flags: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def is_x86(self) -> bool:
        """Whether it speaks Intel's and AMD's language."""
        return self.machine.lower() in X86

    @property
    def instruction_sets(self) -> tuple[str, ...]:
        """Those it has that engines use."""
        return tuple(name for name, flag in INSTRUCTION_SETS.items() if flag in self.flags)

    def has_any(self, *names: str) -> bool:
        """Whether it has one of these instruction sets."""
        return not set(names).isdisjoint(self.instruction_sets)


@cache
def this_processor() -> Processor:
    """This machine's."""
    try:
        text = CPUINFO.read_text()
    except OSError:
        text = ""
    return parse_processor(text, platform.machine())


def parse_processor(cpuinfo: str, machine: str) -> Processor:
    """The first CPU that the text of a /proc/cpuinfo tells of."""
    said: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            said.setdefault(name.strip(), value.strip())
    is_arm = "CPU implementer" in said
    return Processor(
        machine=machine,
        vendor="ARM" if is_arm else VENDORS.get(said.get("vendor_id", ""), "unknown"),
        model=_arm_model(said) if is_arm else said.get("model name", "unknown"),
        flags=frozenset(said.get("Features" if is_arm else "flags", "").split()),
    )


def _arm_model(said: dict[str, str]) -> str:
    """ARM's CPUs tell numbers only, which are the maker's and its part's."""
    return f"implementer {said['CPU implementer']}, part {said.get('CPU part', 'unknown')}"


def int8_saturates(processor: Processor) -> bool:
    """Whether it adds products of uint8 and int8 in 16 bits: x86 before VNNI does.

    ONNX Runtime must then be told to use its exact kernels, which are slower elsewhere.
    """
    return processor.is_x86 and not processor.has_any("AVX512-VNNI", "AVX-VNNI")
