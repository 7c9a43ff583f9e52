"""What every plan keeps to, whatever the fleet."""

from collections import Counter

from hypothesis import given, settings

from inference.plan.build import model_plan
from inference.plan.changes import apply_change
from inference.plan.devices import find_gpu
from inference.plan.fleet import GPU_KINDS, Fleet, Model, Node
from inference.plan.make import make_plan
from inference.plan.plan import ModelPlan, Plan, Replica
from inference.plan.planner import solve
from inference.plan.rooms import cores_of_sockets
from serving.gpu.placement import GPU_MEMORY_UTILIZATION
from tests.inference.plan.fleets import cpu_node, facts_of, fleets, gpu_node, nodes

many = settings(max_examples=60, deadline=None)
some = settings(max_examples=20, deadline=None)


def planned(fleet: Fleet) -> Plan:
    return make_plan(fleet, facts_of(fleet))


def placed(fleet: Fleet) -> list[ModelPlan]:
    """Without looking for remedies, which takes most of a plan's time."""
    facts = facts_of(fleet)
    solution = solve(fleet, facts)
    return [
        model_plan(choice, facts[choice.model.source], solution.rooms)
        for choice in solution.choices
        if choice.trial is not None
    ]


def replicas(fleet: Fleet) -> list[Replica]:
    return [replica for model in placed(fleet) for replica in model.replicas]


def machines(fleet: Fleet) -> dict[str, Node]:
    return {name: node for node in fleet.nodes for name in node.names()}


@many
@given(fleets())
def test_no_device_is_given_more_than_it_has(fleet: Fleet) -> None:
    there = machines(fleet)
    cores, memory, gpus = Counter[str](), Counter[str](), Counter[tuple[str, int]]()
    for model in placed(fleet):
        for replica in model.replicas:
            on_gpus = model.kind in GPU_KINDS
            for device in replica.devices if on_gpus else ():
                gpus[device.node, device.index] += 1
                sizes = [
                    find_gpu(each, device.node).memory_bytes
                    for each in there[device.node].gpus
                    if each.product == device.product
                ]
                total = replica.bytes_per_device.total
                assert total <= max(sizes) * GPU_MEMORY_UTILIZATION
            if not on_gpus or len({device.node for device in replica.devices}) == 1:
                cores[replica.node] += model.num_cpus
                memory[replica.node] += (
                    model.memory_bytes if on_gpus else replica.bytes_per_device.total
                )
    for name, node in there.items():
        assert cores[name] <= node.usable_cores
        assert memory[name] <= node.memory
    for (name, index), replicas in gpus.items():
        assert replicas == 1
        assert index < sum(each.count for each in there[name].gpus)


@many
@given(fleets())
def test_what_is_taken_and_what_is_free_is_what_there_is(fleet: Fleet) -> None:
    there, facts = machines(fleet), facts_of(fleet)
    taken = Counter(
        device.node
        for model in placed(fleet)
        if model.kind in GPU_KINDS
        for replica in model.replicas
        for device in replica.devices
    )
    for room in solve(fleet, facts).rooms:
        free = room.left()
        gpus = sum(each.count for each in there[free.node].gpus)
        assert taken[free.node] + len(free.gpus) == gpus


@many
@given(fleets())
def test_no_replica_is_split_over_nodes_unasked(fleet: Fleet) -> None:
    across = {model.name: model.across_nodes for model in fleet.models}
    for replica in replicas(fleet):
        assert across[replica.model] or len({device.node for device in replica.devices}) == 1


@many
@given(fleets())
def test_a_replica_on_cpus_stays_on_one_socket_unless_wider_is_asked(fleet: Fleet) -> None:
    there, asked = machines(fleet), {model.name: model.num_cpus for model in fleet.models}
    for model in placed(fleet):
        if model.kind not in GPU_KINDS and asked[model.name] is None:
            for replica in model.replicas:
                assert len(replica.devices) == 1
                assert model.num_cpus <= max(cores_of_sockets(there[replica.node]))


@many
@given(fleets(), nodes("added"))
def test_a_node_more_never_makes_it_worse(fleet: Fleet, added: Node) -> None:
    facts = facts_of(fleet)
    more = fleet.model_copy(update={"nodes": (*fleet.nodes, added)})
    assert solve(more, facts).score >= solve(fleet, facts).score


@some
@given(fleets())
def test_the_same_fleet_gives_the_same_plan(fleet: Fleet) -> None:
    again = Fleet.model_validate_json(fleet.model_dump_json())
    assert planned(again) == planned(fleet)


@some
@given(fleets(max_nodes=3, max_models=3))
def test_every_change_that_is_named_is_enough_and_takes_from_nobody(fleet: Fleet) -> None:
    plan = planned(fleet)
    before = {each.model for each in plan.refusals}
    for refusal in plan.refusals:
        assert len(refusal.changes) <= 3
        for change in refusal.changes:
            after = {each.model for each in planned(apply_change(fleet, change)).refusals}
            assert refusal.model not in after
            assert after < before


@some
@given(fleets())
def test_every_replica_holds_a_sequence_and_decodes(fleet: Fleet) -> None:
    for replica in replicas(fleet):
        assert replica.max_sequences >= 1
        assert replica.expected_sequences >= replica.max_sequences
        assert 1 <= replica.concurrency <= replica.expected_sequences
        assert replica.decode_tokens_per_s > 0


def llama(**more) -> Model:
    source = "meta-llama/Llama-2-70b-chat-hf"
    return Model(name="llama", **{"source": source, "context": 4096, **more})


def test_more_replicas_come_before_wider_ones() -> None:
    """70 B on eight GPUs of 80 GB: four replicas of two, as the throughput benchmark advises."""
    (model,) = planned(Fleet(nodes=[gpu_node()], models=[llama(replicas=4)])).models
    assert (model.tensor_parallel_size, model.num_replicas) == (2, 4)
    assert 64 * 2**30 < model.replicas[0].bytes_per_device.weights < 66 * 2**30


def test_wider_ones_come_where_narrow_ones_cannot_hold_what_is_expected() -> None:
    model = llama(concurrency=400, tokens=4096)
    plan = planned(Fleet(nodes=[gpu_node(count=8, product="H200")], models=[model]))
    assert plan.models[0].tensor_parallel_size > 1
    assert plan.models[0].max_sequences >= 400
    assert "narrower ones would hold" in plan.models[0].why


def test_a_small_model_leaves_the_large_gpus_to_others() -> None:
    small = Model(name="small", source="meta-llama/Llama-2-7b-chat-hf", context=512)
    fleet = Fleet(nodes=[gpu_node("big", count=2), gpu_node("little", "L4", 1)], models=[small])
    assert planned(fleet).replicas[0].node == "little"


def test_the_large_gpus_are_taken_where_the_small_ones_hold_too_little() -> None:
    small = Model(
        name="small",
        source="meta-llama/Llama-2-7b-chat-hf",
        context=512,
        concurrency=90,
        replicas=1,
    )
    fleet = Fleet(nodes=[gpu_node("big", count=2), gpu_node("little", "L4", 1)], models=[small])
    assert planned(fleet).replicas[0].node == "big"


def test_models_named_first_are_served_first() -> None:
    names = ("first", "second")
    models = [llama(device="gpu").model_copy(update={"name": name}) for name in names]
    plan = planned(Fleet(nodes=[gpu_node(count=2)], models=models))
    assert [model.name for model in plan.models] == ["first"]
    assert [(each.model, each.missing_replicas) for each in plan.refusals] == [("second", 1)]


def test_across_nodes_takes_the_fewest_nodes_and_says_what_holds_it_back() -> None:
    fleet = Fleet(
        nodes=[gpu_node("a", count=2), gpu_node("b", count=2)],
        models=[llama(across_nodes=True, tensor_parallel_size=4, concurrency=32, tokens=296)],
    )
    (replica,) = planned(fleet).replicas
    assert [(device.node, device.index) for device in replica.devices] == [
        ("a", 0),
        ("a", 1),
        ("b", 0),
        ("b", 1),
    ]
    assert replica.bottleneck == "interconnect"


def test_cpus_of_each_vendor_get_their_engine() -> None:
    models = [
        Model(name=name, source="meta-llama/Llama-2-7b-chat-hf", device=device)
        for name, device in (("i", "intel_cpu"), ("a", "amd_cpu"))
    ]
    fleet = Fleet(nodes=[cpu_node("x"), cpu_node("y", vendor="AMD")], models=models)
    found = [
        (model.engine, model.precision, model.replicas[0].node) for model in planned(fleet).models
    ]
    assert found == [("openvino", "int8", "x"), ("onnx", "int8", "y")]


def test_replicas_on_cpus_have_sockets_of_their_own_first() -> None:
    model = Model(
        name="m", source="meta-llama/Llama-2-7b-chat-hf", device="cpu", replicas=4, concurrency=4
    )
    fleet = Fleet(nodes=[cpu_node("a"), cpu_node("b")], models=[model])
    places = [(each.node, each.devices[0].index) for each in planned(fleet).replicas]
    assert places == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]


def test_the_head_keeps_cores_for_ray() -> None:
    """The seed's: 224 cores, of which replicas may have 220."""
    head = cpu_node("head", head=True, cores=224)
    model = Model(name="m", source="meta-llama/Llama-2-7b-chat-hf", num_cpus=224, replicas=1)
    plan = planned(Fleet(nodes=[head], models=[model]))
    assert plan.models == ()
    fits = planned(apply_change(Fleet(nodes=[head], models=[model]), plan.refusals[0].changes[0]))
    assert fits.models[0].num_cpus <= 110
