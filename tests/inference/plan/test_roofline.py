from dataclasses import replace

import pytest

from inference.plan.roofline import (
    COMPUTE_EFFICIENCY,
    MEMORY_EFFICIENCY,
    Hardware,
    Work,
    decode_step,
    prefill_s,
)

# A Llama of 1.1 B parameters in int8 on two cores: memory 53.4 GB/s, int8 1713e9 products/s.
WORK = Work(
    weight_bytes=1_034.5e6,
    read_share=1.0,
    active_parameters=1_034.5e6 - 65.5e6,
    kv_bytes_per_token=22 * 2 * 4 * 64 * 4,
    num_layers=22,
    hidden_size=2048,
)
TWO_CORES = Hardware(num_devices=1, bandwidth=53.4e9, flops=1713e9, link=1.0)


def test_one_sequence_reads_all_weights_for_each_token() -> None:
    """The measured roof is 51.6 tokens/s; engines reach 58 to 92 % of it."""
    step = decode_step(WORK, TWO_CORES, 1, 128)
    assert 1 / step.memory_s == pytest.approx(51.6 * MEMORY_EFFICIENCY, rel=0.03)
    assert step.bottleneck == "memory bandwidth"
    assert 30 <= 1 / step.total_s <= 48  # what was measured for the engines


def test_many_sequences_are_held_back_by_products() -> None:
    step = decode_step(WORK, TWO_CORES, 32, 128)
    assert step.bottleneck == "compute"
    assert 267 <= 32 / step.total_s <= 445  # what was measured


def test_prompts_take_products() -> None:
    assert 400 <= 128 / prefill_s(WORK, TWO_CORES, 128) <= 768  # what was measured


def test_more_devices_share_the_work_and_pay_for_sums() -> None:
    alone = decode_step(WORK, TWO_CORES, 8, 100)
    two = decode_step(WORK, replace(TWO_CORES, num_devices=2, link=1e9), 8, 100)
    assert two.compute_s == pytest.approx(alone.compute_s / 2)
    assert alone.interconnect_s == 0 < two.interconnect_s


def test_efficiencies_are_shares() -> None:
    assert 0 < COMPUTE_EFFICIENCY < 1
    assert 0 < MEMORY_EFFICIENCY < 1
