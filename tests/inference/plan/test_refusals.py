"""The words for what finds no place: the reason with its arithmetic, and what would be enough."""

import pytest

from inference.plan.changes import apply_change
from inference.plan.fleet import Fleet, Model, Node
from inference.plan.make import make_plan
from inference.plan.plan import Change, Refusal
from tests.inference.plan.fleets import cpu_node, facts_of, gpu_node

LLAMA_70B = "meta-llama/Llama-2-70b-chat-hf"


def refused(*nodes: Node, **model) -> Refusal:
    asked = Model(name="m", **{"source": LLAMA_70B, "device": "gpu", "context": 4096, **model})
    fleet = Fleet(nodes=nodes, models=[asked])
    (found,) = make_plan(fleet, facts_of(fleet)).refusals
    return found


def test_too_little_memory_is_counted_out() -> None:
    found = refused(gpu_node(count=1))
    assert found.missing_replicas == 1
    assert (
        "each of 1 GPU needs 130.7 GiB (128.5 GiB of weights, 1.2 GiB of KV cache for one sequence "
        "of 4096 tokens, 1.0 GiB for the rest) and has 73.6 GiB (92% of 80.0 GiB)"
    ) in found.reason
    assert [change.field for change in found.changes] == [
        "models.m.precision",
        "models.m.device",
        "nodes",
    ]
    assert found.changes[-1].sentence == "add a machine with 2 A100-SXM4-80GB"


def test_gpus_that_others_have_are_named() -> None:
    models = [
        Model(name=name, source=LLAMA_70B, device="gpu", replicas=1) for name in ("first", "second")
    ]
    fleet = Fleet(nodes=[gpu_node(count=3)], models=models)
    (found,) = make_plan(fleet, facts_of(fleet)).refusals
    assert found.model == "second"
    assert "left are GPUs: gpu 1" in found.reason


def test_some_of_the_replicas_is_said_as_such() -> None:
    found = refused(gpu_node(count=4), replicas=3)
    assert found.missing_replicas == 1
    assert found.reason.startswith("2 of 3 replicas found a place, each of 2 GPUs of one node")
    assert Change("models.m.replicas", 2, "be content with 2 replicas") in found.changes


def test_too_few_sequences_are_counted() -> None:
    found = refused(gpu_node(count=4), concurrency=500, replicas=1)
    assert found.missing_replicas == 0
    assert "500 are expected, and no more are asked for" in found.reason


def test_a_kind_that_is_not_there_is_said() -> None:
    assert "on NVIDIA GPUs: the fleet has none" in refused(cpu_node()).reason


def test_labels_that_no_node_has_are_said() -> None:
    found = refused(gpu_node(), labels={"zone": "b"})
    assert "the fleet has none with labels {'zone': 'b'}" in found.reason
    assert found.changes[0].field == "models.m.labels"


def test_a_quantised_checkpoint_is_not_for_cpus() -> None:
    found = refused(cpu_node(memory="4TB"), source="deepseek-ai/DeepSeek-V3", device="cpu")
    assert found.changes == ()  # no single one would be enough
    assert "load no checkpoint that is quantised already" in found.reason


def test_gpus_on_several_nodes_are_proposed_where_they_are_enough() -> None:
    nodes = [gpu_node("a", count=1), gpu_node("b", count=1)]
    across = refused(*nodes, tensor_parallel_size=2)
    assert "needs 2 GPUs of one node, and the most that one has is 1" in across.reason
    assert across.changes[0].field == "models.m.across_nodes"


def test_gpus_are_proposed_to_a_fleet_that_has_none() -> None:
    assert "add a machine with 2 H100" in [
        change.sentence for change in refused(cpu_node()).changes
    ]


def test_a_change_of_nothing_is_refused() -> None:
    fleet = Fleet(nodes=[cpu_node()])
    with pytest.raises(ValueError, match="there is no field"):
        apply_change(fleet, Change("models.m.precision", "int8", ""))
