"""Changes of a fleet file that may make a model fit, the nearest first. Pure.

Only proposals: `refusals` plans again with each and keeps those that help.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ByteSize

from inference.plan.devices import find_gpu
from inference.plan.fit import context_of
from inference.plan.fleet import (
    GPU_KINDS,
    DeviceKind,
    Fleet,
    Gpus,
    Model,
    Node,
    Precision,
)
from inference.plan.model_facts import ModelFacts
from inference.plan.plan import Change
from inference.plan.planner import Choice
from inference.plan.rooms import alike, carries, kind_of_cpus, kind_of_gpus
from inference.plan.ways import kinds_for

CONTEXT_STEP = 256  # contexts are named in multiples of this
FEWER_BITS: dict[Precision, tuple[Precision, ...]] = {
    "float32": ("bfloat16", "int8", "int4"),
    "fp8": ("int4",),
    "int8": ("int4",),
    "int4": (),
}
NEW_NODES = (1, 4)
MOST_KINDS = 2
GPU_COUNTS = (1, 2, 4, 8)
NEW_MACHINE = Node(
    name="gpus", cores=128, sockets=2, memory=ByteSize(10**12), gpus=(Gpus(product="H100"),)
)


def apply_change(fleet: Fleet, change: Change) -> Fleet:
    """The fleet with a change made; raises ValueError for a field that is none."""
    where, _, rest = change.field.partition(".")
    if where == "nodes":
        return fleet.model_copy(update={"nodes": (*fleet.nodes, Node.model_validate(change.value))})
    name, _, field = rest.rpartition(".")
    if name not in [model.name for model in fleet.models] or field not in Model.model_fields:
        raise ValueError(f"there is no field '{change.field}'")
    models = tuple(
        model.model_copy(update={field: change.value}) if model.name == name else model
        for model in fleet.models
    )
    return fleet.model_copy(update={"models": models})


def proposals(fleet: Fleet, choice: Choice, facts: ModelFacts) -> Iterator[Change]:
    """What costs callers least first: the cache, lengths, precision, numbers, then machines."""
    model = choice.model
    on_gpus = any(kind in GPU_KINDS for kind in kinds_for(model))
    if on_gpus and not model.cache_8bit:
        yield _of(model, "cache_8bit", True, "keep keys and values in 8 bits")
    yield from _shorter(model, facts)
    if not facts.shape.quantized:
        for precision in FEWER_BITS.get(model.precision, ("int8", "int4")):
            yield _of(model, "precision", precision, f"hold weights as {precision}")
    if on_gpus and not model.across_nodes:
        sentence = "let a replica's GPUs be on several nodes, which is several times slower"
        yield _of(model, "across_nodes", True, sentence)
    yield from _pins(model)
    yield from _less(choice)
    yield from _more_nodes(fleet, model)
    if on_gpus:
        yield from _wider_nodes(fleet, model)


def _of(model: Model, field: str, value: Any, sentence: str) -> Change:
    return Change(f"models.{model.name}.{field}", value, sentence)


def _shorter(model: Model, facts: ModelFacts) -> Iterator[Change]:
    """Half the context, and a quarter, where usual requests still fit in it."""
    now = context_of(model, facts)
    for part in (2, 4, 8):
        context = now // part // CONTEXT_STEP * CONTEXT_STEP
        if context >= max(CONTEXT_STEP, model.tokens or 0):
            yield _of(model, "context", context, f"sequences of at most {context} tokens")


def _pins(model: Model) -> Iterator[Change]:
    """Settings that leave the planner less choice than it could have."""
    if model.tensor_parallel_size is not None:
        yield _of(model, "tensor_parallel_size", None, "let the planner choose the width")
    if model.labels:
        yield _of(model, "labels", {}, "let it be on any node")
    if model.num_cpus is not None:
        yield _of(model, "num_cpus", None, "let the planner choose how many cores")
    if model.device != "auto" and model.engine is None:
        yield _of(model, "device", "auto", "let it be on GPUs or CPUs, whichever hold it")


def _less(choice: Choice) -> Iterator[Change]:
    """As many as there is room for."""
    model, trial = choice.model, choice.trial
    if trial is None:
        return
    if model.replicas != "auto" and len(trial.spots) < model.replicas:
        number = len(trial.spots)
        yield _of(model, "replicas", number, f"be content with {number} replicas")
    if model.replicas != "auto":
        yield _of(model, "replicas", "auto", "let there be as many replicas as it needs")
    held = sum(spot.fit.expected_sequences for spot in trial.spots)
    if held < model.concurrency:
        yield _of(model, "concurrency", held, f"expect {held} requests at once")


def _more_nodes(fleet: Fleet, model: Model) -> Iterator[Change]:
    """More machines of a kind that is there already and that the model may be on."""
    for number in NEW_NODES:
        for node in _usable(fleet, model)[:MOST_KINDS]:
            machines = f"{number} more machine{'s' * (number > 1)} like {node.name}"
            yield from _added(fleet, node, f"{node.name}-more", f"add {machines}", count=number)


def _wider_nodes(fleet: Fleet, model: Model) -> Iterator[Change]:
    """A machine with more GPUs than any has, of a product that is there, or of a usual one."""
    there = [node for node in _usable(fleet, model) if node.gpus]
    for like in (*there[:1], NEW_MACHINE.model_copy(update={"labels": model.labels})):
        least = like.gpus[0].count + 1 if like in there else 1
        for count in GPU_COUNTS:
            if count >= least:
                gpus = like.gpus[0].model_copy(update={"count": count})
                sentence = f"add a machine with {count} {gpus.product}"
                how = {"gpus": [gpus.model_dump(exclude_defaults=True)]}
                yield from _added(fleet, like, f"{like.name}-wider", sentence, **how)


def _added(fleet: Fleet, like: Node, name: str, sentence: str, **how: Any) -> Iterator[Change]:
    """A node at the end of the file, unless its name is taken."""
    if name not in [node.name for node in fleet.nodes]:
        same = like.model_dump(exclude_defaults=True, exclude={"head", "count"})
        yield Change("nodes", {**same, "name": name, **how}, sentence)


def _usable(fleet: Fleet, model: Model) -> list[Node]:
    """One node of each kind, those with most GPUs first, then those with most cores."""
    seen: dict[str, Node] = {}
    for node in fleet.nodes:
        if carries(node, model.labels):
            seen.setdefault(alike(node), node)
    possible = set(kinds_for(model))
    usable = [node for node in seen.values() if possible & set(_kinds(node))]
    most = [(-sum(gpus.count for gpus in node.gpus), -node.cores) for node in usable]
    order = sorted(range(len(usable)), key=lambda each: (most[each], each))
    return [usable[each] for each in order]


def _kinds(node: Node) -> Iterator[DeviceKind]:
    yield kind_of_cpus(node)
    yield from (kind_of_gpus(find_gpu(gpus, node.name)) for gpus in node.gpus)
