"""serving.gpu.placement: one node by default, shares that fit, GPUs that Ray did not give."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import ConfigError
from serving.gpu.placement import (
    Wanted,
    gpus_of_actor,
    gpus_to_reserve,
    memory_share,
    place,
    place_on_cpu,
)


def test_one_gpu_is_held_by_the_replica_itself():
    placement = place(Wanted(num_cpus=4))
    assert placement.serve_options() == {"ray_actor_options": {"num_cpus": 4, "num_gpus": 1}}
    assert placement.executor is None


@given(st.integers(2, 16))
def test_several_gpus_are_on_one_node_because_one_actor_holds_them(gpu_count):
    placement = place(Wanted(gpu_count=gpu_count))
    assert placement.ray_actor_options["num_gpus"] == gpu_count
    assert not placement.placement_group
    assert placement.executor == "mp"


@given(st.integers(1, 8), st.integers(2, 8))
def test_pipelines_may_span_nodes_with_a_bundle_for_each_gpu(gpu_count, stages):
    placement = place(Wanted(gpu_count=gpu_count, pipeline_parallel_size=stages, num_cpus=3))
    bundles = placement.placement_group["placement_group_bundles"]
    assert sum(bundle["GPU"] for bundle in bundles) == gpu_count * stages
    assert bundles[0]["CPU"] == 3  # Serve puts the replica there
    assert placement.placement_group["placement_group_strategy"] == "PACK"
    assert placement.executor == "ray"


def test_a_pipeline_can_be_kept_on_one_node_and_a_wide_replica_spread():
    together = place(Wanted(pipeline_parallel_size=2, across_nodes=False))
    assert together.ray_actor_options["num_gpus"] == 2
    apart = place(Wanted(gpu_count=4, across_nodes=True))
    assert len(apart.placement_group["placement_group_bundles"]) == 4
    alone = place(Wanted(gpu_count=1, across_nodes=True))
    assert not alone.placement_group


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


@pytest.mark.parametrize(
    ("wanted", "missing"),
    [({}, 1), ({"gpu_count": 4}, 4), ({"replicas_per_gpu": 2}, 0.5)],
)
def test_a_replica_that_got_no_gpu_reserves_what_it_should_have(wanted, missing):
    assert gpus_to_reserve(Wanted(**wanted), num_gpus_given=0) == missing


def test_a_replica_that_got_its_gpus_reserves_none():
    for wanted in (Wanted(), Wanted(gpu_count=4)):
        assert gpus_to_reserve(wanted, wanted.num_gpus) == 0
    assert gpus_to_reserve(Wanted(replicas_per_gpu=2), num_gpus_given=1) == 0
    assert gpus_to_reserve(Wanted(pipeline_parallel_size=2), num_gpus_given=0) == 0


def test_other_numbers_of_gpus_are_refused():
    with pytest.raises(ConfigError, match="gave this replica 2, but gpu_count 4 needs 4"):
        gpus_to_reserve(Wanted(gpu_count=4), num_gpus_given=2)


def test_products_and_labels_are_asked_of_ray():
    wanted = Wanted(accelerator_type="L4", label_selector={"zone": "a"})
    assert place(wanted).ray_actor_options == {
        "num_cpus": 1,
        "num_gpus": 1,
        "accelerator_type": "L4",
        "label_selector": {"zone": "a"},
    }
    spread = place(replace(wanted, pipeline_parallel_size=2)).serve_options()
    assert [each["accelerator_type:L4"] for each in spread["placement_group_bundles"]] == [
        0.001
    ] * 2
    assert spread["placement_group_bundle_label_selector"] == [{"zone": "a"}] * 2
