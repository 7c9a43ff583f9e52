"""serving.gpu.cpu_device: a vLLM for CPUs gets a modest cache, and cores for each rank."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.gpu.cpu_device import KV_CACHE_BYTES, binding, with_kv_cache
from serving.gpu.vllm_settings import VLLMSettings


def test_unasked_the_cache_is_modest():
    assert with_kv_cache(VLLMSettings(), {}).kv_cache_bytes == KV_CACHE_BYTES


@pytest.mark.parametrize(
    ("settings", "environment"),
    [
        ({"kv_cache_bytes": 5}, {}),
        ({"gpu_memory_utilization": 0.3}, {}),
        ({}, {"VLLM_CPU_KVCACHE_SPACE": "2"}),
    ],
)
def test_what_somebody_chose_stands(settings, environment):
    told = VLLMSettings(**settings)
    assert with_kv_cache(told, environment) == told


@given(st.integers(1, 64), st.integers(1, 16))
def test_ranks_share_no_core_while_there_are_enough(num_cpus, ranks):
    shares = [share.split(",") for share in binding(range(num_cpus), ranks).split("|")]
    assert len(shares) == ranks
    assert all(shares)
    if num_cpus >= ranks:
        cores = [core for share in shares for core in share]
        assert len(set(cores)) == len(cores)
        assert len({len(share) for share in shares}) == 1
