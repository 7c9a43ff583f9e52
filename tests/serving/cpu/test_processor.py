"""serving.cpu.processor, on what /proc/cpuinfo says on machines of several makers."""

from __future__ import annotations

import platform

import pytest

from serving.cpu import processor
from serving.cpu.processor import Processor, int8_saturates, parse_processor, this_processor

# Shortened to what is read, and to some that must not confuse; two CPUs each.
XEON = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model name\t: Intel(R) Xeon(R) Platinum 8480+
flags\t\t: fpu sse2 avx avx2 avx512f avx512_vnni avx512_bf16 avx_vnni amx_bf16 amx_tile amx_int8
vmx flags\t: vnmi preemption_timer
bugs\t\t: spectre_v1

processor\t: 1
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8480+
flags\t\t: fpu
"""
EPYC = """processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 9654 96-Core Processor
flags\t\t: fpu sse2 avx avx2 avx512f avx512_bf16 avx512_vnni
"""
OLD_XEON = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) CPU E5-2690 v4 @ 2.60GHz
flags\t\t: fpu sse2 avx avx2
"""
NEOVERSE = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm aes asimddp sve i8mm bf16
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd40
"""


def test_a_xeon():
    found = parse_processor(XEON, "x86_64")
    assert (found.vendor, found.model) == ("Intel", "Intel(R) Xeon(R) Platinum 8480+")
    assert found.instruction_sets == (
        "AVX2",
        "AVX512",
        "AVX512-VNNI",
        "AVX-VNNI",
        "AVX512-BF16",
        "AMX-INT8",
        "AMX-BF16",
    )


def test_an_epyc():
    found = parse_processor(EPYC, "x86_64")
    assert (found.vendor, found.model) == ("AMD", "AMD EPYC 9654 96-Core Processor")
    assert found.instruction_sets == ("AVX2", "AVX512", "AVX512-VNNI", "AVX512-BF16")


def test_an_arm():
    found = parse_processor(NEOVERSE, "aarch64")
    assert (found.vendor, found.model) == ("ARM", "implementer 0x41, part 0xd40")
    assert found.instruction_sets == ("NEON", "DOTPROD", "I8MM", "BF16", "SVE")


def test_nothing_is_known_of_a_system_that_says_nothing():
    assert parse_processor("", "arm64") == Processor("arm64")
    assert Processor("arm64").instruction_sets == ()


def test_this_one(tmp_path, monkeypatch):
    assert this_processor() == parse_processor(processor.CPUINFO.read_text(), platform.machine())
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "none")
    monkeypatch.setattr(processor.platform, "machine", lambda: "x86_64")
    this_processor.cache_clear()
    assert this_processor() == Processor("x86_64")
    this_processor.cache_clear()


@pytest.mark.parametrize(
    ("cpuinfo", "machine", "saturates"),
    [
        (XEON, "x86_64", False),
        (EPYC, "AMD64", False),
        (OLD_XEON, "x86_64", True),
        ("flags: avx2 avx_vnni", "x86_64", False),
        ("", "x86_64", True),
        (NEOVERSE, "aarch64", False),
    ],
)
def test_cpus_whose_int8_products_need_the_exact_kernels(cpuinfo, machine, saturates):
    assert int8_saturates(parse_processor(cpuinfo, machine)) is saturates
