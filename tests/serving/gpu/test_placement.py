"""serving.gpu.placement: shares that fit, one node by default, remainders with their arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import ConfigError
from serving.gpu.placement import (
    GIB,
    OVERHEAD_BYTES,
    Wanted,
    check_replicas,
    executor_here,
    gpus_of_actor,
    memory_share,
    place,
    place_on_cpu,
    recommend,
    replicas_on,
)

GPUS = st.integers(1, 64)


def test_one_gpu_is_held_by_the_replica_itself():
    placement = place(Wanted(num_cpus=4))
    assert placement.serve_options() == {"ray_actor_options": {"num_cpus": 4, "num_gpus": 1}}
    assert placement.executor is None


@given(st.integers(2, 16))
def test_several_gpus_are_on_one_node_because_one_actor_holds_them(gpu_count):
    placement = place(Wanted(gpu_count=gpu_count))
    assert placement.ray_actor_options["num_gpus"] == gpu_count
    assert placement.placement_group_bundles is None
    assert placement.executor == "mp"


@given(st.integers(1, 8), st.integers(2, 8))
def test_pipelines_may_span_nodes_with_a_bundle_for_each_gpu(gpu_count, stages):
    placement = place(Wanted(gpu_count=gpu_count, pipeline_parallel_size=stages, num_cpus=3))
    bundles = placement.placement_group_bundles
    assert sum(bundle["GPU"] for bundle in bundles) == gpu_count * stages
    assert bundles[0]["CPU"] == 3  # Serve puts the replica there
    assert placement.placement_group_strategy == "PACK"
    assert placement.executor == "ray"


def test_a_pipeline_can_be_kept_on_one_node_and_a_wide_replica_spread():
    together = place(Wanted(pipeline_parallel_size=2, across_nodes=False))
    assert together.ray_actor_options["num_gpus"] == 2
    apart = place(Wanted(gpu_count=4, across_nodes=True))
    assert len(apart.placement_group_bundles) == 4
    alone = place(Wanted(gpu_count=1, across_nodes=True))
    assert alone.placement_group_bundles is None


def test_a_vllm_for_cpus_takes_no_gpu():
    assert place_on_cpu(2).ray_actor_options == {"num_cpus": 2, "num_gpus": 0}
    assert place_on_cpu(2, tensor_parallel_size=2).executor == "mp"


@given(st.integers(1, 100), st.floats(0.01, 1))
def test_shares_of_a_gpu_never_exceed_it(replicas_per_gpu, utilization):
    wanted = Wanted(replicas_per_gpu=replicas_per_gpu)
    assert 0 < gpus_of_actor(wanted) * replicas_per_gpu <= 1
    share = memory_share(wanted, utilization)
    assert share * replicas_per_gpu <= utilization + 1e-9
    assert share * replicas_per_gpu > utilization - replicas_per_gpu * 1e-4 - 1e-9


def test_alone_on_its_gpu_a_replica_keeps_what_it_was_told():
    assert memory_share(Wanted(), None) is None
    assert memory_share(Wanted(), 0.8) == 0.8
    assert memory_share(Wanted(replicas_per_gpu=4), None) == 0.23


@given(GPUS, st.integers(1, 16))
def test_replicas_use_all_gpus_or_the_remainder_is_told(num_gpus, gpu_count):
    wanted = Wanted(gpu_count=gpu_count)
    if num_gpus % gpu_count:
        with pytest.raises(ConfigError, match=f"{num_gpus} GPUs / {gpu_count} for each replica"):
            replicas_on(num_gpus, wanted)
    else:
        assert replicas_on(num_gpus, wanted) * gpu_count == num_gpus


def test_the_remainder_names_what_would_divide():
    with pytest.raises(ConfigError, match=r"2 replicas and 2 GPUs left over; use 1, 2, 4 or 8"):
        replicas_on(8, Wanted(gpu_count=3))
    assert replicas_on(2, Wanted(replicas_per_gpu=3)) == 6


@given(st.integers(1, 100), st.integers(1, 10))
def test_gpus_are_filled_evenly(num_replicas, replicas_per_gpu):
    if num_replicas % replicas_per_gpu:
        with pytest.raises(ConfigError, match=f"{num_replicas} replicas / {replicas_per_gpu}"):
            check_replicas(num_replicas, replicas_per_gpu)
    else:
        check_replicas(num_replicas, replicas_per_gpu)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"gpu_count": 0}, "gpu_count: 0 is below 1"),
        ({"pipeline_parallel_size": 0}, "pipeline_parallel_size"),
        ({"gpu_count": 2, "replicas_per_gpu": 2}, "replicas_per_gpu: a replica of 2 GPUs"),
        ({"replicas_per_gpu": 10_001}, "smallest shares"),
    ],
)
def test_what_cannot_be_placed_is_named(wanted, words):
    with pytest.raises(ConfigError, match=words):
        Wanted(**wanted)


def test_a_replica_whose_options_were_replaced_reserves_its_gpus_through_vllm():
    for wanted in (Wanted(), Wanted(gpu_count=4)):
        assert executor_here(wanted, place(wanted).executor, num_gpus_given=0) == "ray"


def test_a_replica_that_got_its_gpus_uses_them():
    for wanted in (Wanted(), Wanted(gpu_count=4)):
        planned = place(wanted).executor
        assert executor_here(wanted, planned, wanted.num_gpus) == planned
    assert executor_here(Wanted(replicas_per_gpu=2), None, num_gpus_given=1) is None


def test_other_numbers_of_gpus_are_refused():
    with pytest.raises(ConfigError, match="gave this replica 2, but gpu_count 4 needs 4"):
        executor_here(Wanted(gpu_count=4), "mp", num_gpus_given=2)
    with pytest.raises(ConfigError, match=r"add num_gpus: 0\.5"):
        executor_here(Wanted(replicas_per_gpu=2), None, num_gpus_given=0)


def test_replicas_come_before_width():
    """A 70 B model on eight 80 GB cards: two wide, four times (not four wide, twice)."""
    advice = recommend(
        weight_bytes=140 * 10**9,
        kv_bytes=4096 * 320 * 1024,
        gpu_memory_bytes=80 * 10**9,
        num_gpus=8,
        num_attention_heads=64,
    )
    assert (advice.tensor_parallel_size, advice.num_replicas) == (2, 4)
    assert "gpu_count: 2 and num_replicas: 4" in advice.sentence()


@given(st.integers(0, 2000 * GIB), st.integers(8 * GIB, 200 * GIB), GPUS)
def test_what_is_recommended_fits_and_nothing_narrower_does(weights, memory, num_gpus):
    def fits(width):
        return weights <= width * (memory * 0.92 - OVERHEAD_BYTES)

    advice = recommend(weight_bytes=weights, kv_bytes=0, gpu_memory_bytes=memory, num_gpus=num_gpus)
    widths = [width for width in range(1, num_gpus + 1) if num_gpus % width == 0]
    fitting = [width for width in widths if fits(width)]
    if advice is None:
        assert not fitting
    else:
        assert advice.tensor_parallel_size == fitting[0]
        assert advice.num_replicas * advice.tensor_parallel_size == num_gpus
