"""serving.cpu.cpu_advice: what an operator is told of a machine's CPU."""

from __future__ import annotations

import pytest

from serving.cpu.cpu_advice import device_mismatch, missing_instruction_sets
from serving.cpu.processor import Processor, parse_processor
from tests.serving.cpu.test_processor import EPYC, NEOVERSE, OLD_XEON, XEON


def test_a_new_cpu_lacks_nothing():
    assert missing_instruction_sets(parse_processor(XEON, "x86_64")) == {}
    assert missing_instruction_sets(parse_processor(EPYC, "x86_64")) == {}
    assert missing_instruction_sets(parse_processor(NEOVERSE, "aarch64")) == {}


def test_what_an_old_one_lacks_is_told_with_its_cost():
    missing = missing_instruction_sets(parse_processor(OLD_XEON, "x86_64"))
    assert list(missing) == ["AVX512-VNNI or AVX-VNNI", "AVX512-BF16 or AMX-BF16", "AMX-INT8"]
    assert "exact int8 kernels" in missing["AVX512-VNNI or AVX-VNNI"]
    assert "not measured" in missing["AMX-INT8"]


def test_where_flags_are_not_known_nothing_is_claimed():
    assert missing_instruction_sets(Processor("x86_64")) == {}


@pytest.mark.parametrize(
    ("cpuinfo", "target_device", "better"),
    [(EPYC, "INTEL", "set target_device: AMD"), (XEON, "AMD", "set target_device: INTEL")],
)
def test_a_cpu_of_another_maker_is_told_with_the_better_setting(cpuinfo, target_device, better):
    said = device_mismatch(parse_processor(cpuinfo, "x86_64"), target_device)
    assert said is not None
    assert better in said
    assert "label_selector" in said


def test_a_cpu_of_neither_maker_is_told():
    said = device_mismatch(parse_processor(NEOVERSE, "aarch64"), "AMD")
    assert said is not None
    assert "ARM's" in said
    assert "set target_device" not in said


@pytest.mark.parametrize(
    ("cpuinfo", "target_device"), [(EPYC, "AMD"), (XEON, "INTEL"), (EPYC, None), ("", "AMD")]
)
def test_the_right_cpu_and_one_that_is_not_known_are_no_news(cpuinfo, target_device):
    assert device_mismatch(parse_processor(cpuinfo, "x86_64"), target_device) is None
