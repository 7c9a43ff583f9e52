"""Arithmetic by hand, and that measuring gives what a machine can do."""

from __future__ import annotations

import pytest

from bench.cpu import roofline
from bench.cpu.results import ModelSize
from bench.models import ROOT

SIZE = ModelSize(decode=1000, prefill=800)


def decode(**said):
    known = {"bits": 8, "concurrency": 1, "bytes_per_s": 50_000.0, "ops_per_s": 1e9}
    return roofline.decode_tokens_per_s(SIZE, **(known | said))


def test_one_sequence_is_held_by_memory():
    assert decode() == 50
    assert decode(bits=4) == 100
    assert decode(concurrency=8) == 400


def test_many_sequences_are_held_by_arithmetic():
    assert decode(concurrency=32, ops_per_s=200_000.0) == 100


def test_prompts_need_no_head():
    assert roofline.prefill_tokens_per_s(SIZE, 160_000.0) == 100


def test_the_size_of_a_tied_model_counts_its_embedding_as_its_head():
    size = roofline.model_size(ROOT / "models" / "anynode-demo")
    assert 0 < size.prefill < size.decode


@pytest.mark.timeout(60)
def test_measured_is_what_a_machine_can_do():
    bytes_per_s, ops_per_s = roofline.measure(1)
    assert 1e8 < bytes_per_s < 1e13
    assert 1e8 < ops_per_s < 1e15
