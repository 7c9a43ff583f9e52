"""serving.gpu.gpu_arithmetic: what fits, what is left over, and what would use all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import ConfigError
from serving.gpu.gpu_arithmetic import (
    GIB,
    OVERHEAD_BYTES,
    check_cluster,
    check_replicas,
    idle_gpus,
    recommend,
)
from serving.gpu.placement import Wanted

GPUS = st.integers(1, 64)


@given(GPUS, st.integers(1, 16))
def test_gpus_that_stay_idle_are_counted(num_gpus, gpu_count):
    said = idle_gpus(Wanted(gpu_count=gpu_count), num_gpus)
    if num_gpus % gpu_count:
        assert f"and {num_gpus % gpu_count} left over" in said
    else:
        assert said is None


def test_the_remainder_names_what_would_divide():
    said = idle_gpus(Wanted(gpu_count=3), 8)
    assert "8 GPUs / 3 for each replica = 2 replicas and 2 left over" in said
    assert "1, 2, 4 or 8 would use all" in said


@given(st.lists(st.integers(0, 8), max_size=5), st.integers(1, 16), st.booleans())
def test_what_no_node_can_hold_is_refused(nodes, gpu_count, across_nodes):
    wanted = Wanted(gpu_count=gpu_count, across_nodes=across_nodes)
    there = sum(nodes) if across_nodes and gpu_count > 1 else max(nodes, default=0)
    if there >= gpu_count:
        check_cluster(wanted, nodes)
    else:
        with pytest.raises(ConfigError, match=r"^gpu_count: "):
            check_cluster(wanted, nodes)


@pytest.mark.parametrize(
    ("wanted", "nodes", "words"),
    [
        ({}, [0, 0], "has no GPU; set target_device: AMD or INTEL"),
        ({"gpu_count": 4}, [2, 0, 1], "4 GPUs of one node, .* have 2, 1; set gpu_count: 2 or less"),
        ({"gpu_count": 4}, [2, 2], "or across_nodes: true"),
        ({"gpu_count": 4}, [2, 1], "or add a node"),
        ({"gpu_count": 4, "across_nodes": True}, [2, 1], "needs 4 GPUs, and the nodes"),
    ],
)
def test_what_the_cluster_lacks_is_said_with_the_way_out(wanted, nodes, words):
    with pytest.raises(ConfigError, match=words):
        check_cluster(Wanted(**wanted), nodes)


@given(st.integers(1, 100), st.integers(1, 10))
def test_gpus_are_filled_evenly(num_replicas, replicas_per_gpu):
    if num_replicas % replicas_per_gpu:
        with pytest.raises(ConfigError, match=f"{num_replicas} replicas / {replicas_per_gpu}"):
            check_replicas(num_replicas, replicas_per_gpu)
    else:
        check_replicas(num_replicas, replicas_per_gpu)


def test_replicas_come_before_width():
    """A 70 B model on eight 80 GB cards: two wide, four times (not four wide, twice)."""
    advice = recommend(
        weight_bytes=140 * 10**9,
        kv_bytes=4096 * 320 * 1024,
        usable_bytes=int(80 * 10**9 * 0.92),
        num_gpus=8,
        num_attention_heads=64,
    )
    assert (advice.tensor_parallel_size, advice.num_replicas) == (2, 4)
    assert "gpu_count: 2 and num_replicas: 4" in advice.sentence()


@given(st.integers(0, 2000 * GIB), st.integers(8 * GIB, 200 * GIB), GPUS)
def test_what_is_recommended_fits_and_nothing_narrower_does(weights, memory, num_gpus):
    def fits(width):
        return weights <= width * (memory - OVERHEAD_BYTES)

    advice = recommend(weight_bytes=weights, kv_bytes=0, usable_bytes=memory, num_gpus=num_gpus)
    widths = [width for width in range(1, num_gpus + 1) if num_gpus % width == 0]
    fitting = [width for width in widths if fits(width)]
    if advice is None:
        assert not fitting
    else:
        assert advice.tensor_parallel_size == fitting[0]
        assert advice.num_replicas * advice.tensor_parallel_size == num_gpus
