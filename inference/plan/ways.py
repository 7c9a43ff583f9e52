"""The ways to run a model on a fleet, the plainest first. Pure.

A way is a kind of device and a width. All replicas of a model go the same way, because they are
one deployment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inference.plan.fit import HOST_BYTES_PER_PROCESS, Unfit, running
from inference.plan.fleet import CPU_KINDS, GPU_KINDS, KINDS, DeviceKind, Model
from inference.plan.model_facts import ModelFacts
from inference.plan.rooms import Rooms, cores_of_sockets, kind_of_cpus, kind_of_gpus

WIDTHS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class Way:
    """How every replica of a model is placed."""

    kind: DeviceKind
    width: int  # GPUs of a replica; 1 on CPUs
    num_cpus: int  # cores of a replica
    roomy: bool = False  # the largest GPUs first; otherwise the smallest that hold it
    across_nodes: bool = False

    @property
    def gpus_of_a_node(self) -> int:
        """At least so many must be free on a node for it to take part."""
        return 1 if self.across_nodes else self.width

    @property
    def host_bytes(self) -> int:
        """Of a replica on GPUs, in its node's memory."""
        return HOST_BYTES_PER_PROCESS * (1 + self.width)


def kinds_for(model: Model) -> Sequence[DeviceKind]:
    """Kinds of device that the model may be on, GPUs before CPUs."""
    groups = {"auto": KINDS, "gpu": GPU_KINDS, "cpu": CPU_KINDS}
    return groups.get(model.device) or tuple(kind for kind in KINDS if kind == model.device)


def ways(model: Model, facts: ModelFacts, rooms: Rooms) -> Iterator[Way]:
    """Every way, in the order in which they are preferred; empty where no device would do."""
    for kind in kinds_for(model):
        if isinstance(running(model, facts, kind), Unfit):
            continue
        if kind in GPU_KINDS:
            yield from _gpu_ways(model, facts, kind, rooms)
        else:
            yield from (Way(kind, 1, cores) for cores in _core_counts(model, kind, rooms))


def _gpu_ways(model: Model, facts: ModelFacts, kind: DeviceKind, rooms: Rooms) -> Iterator[Way]:
    counts = [
        gpus.count
        for room in rooms
        for gpus, gpu in zip(room.node.gpus, room.gpus, strict=True)
        if kind_of_gpus(gpu) == kind
    ]
    most, total, possible = max(counts, default=0), sum(counts), widths(model, facts)
    within = [(width, False) for width in possible if width <= most]
    across = [(width, True) for width in possible if model.across_nodes and 1 < width <= total]
    for width, spans in within + across:
        for roomy in (False, True):
            yield Way(kind, width, model.num_cpus or 1 + width, roomy, spans)


def widths(model: Model, facts: ModelFacts) -> list[int]:
    """Tensor parallel sizes that vLLM would take, the narrowest first."""
    if model.tensor_parallel_size is not None:
        return [model.tensor_parallel_size]
    heads, kv_heads = facts.shape.num_attention_heads, facts.shape.num_kv_heads
    return [
        width
        for width in WIDTHS
        if heads % width == 0 and (kv_heads % width == 0 or width % kv_heads == 0)
    ]


def _core_counts(model: Model, kind: DeviceKind, rooms: Rooms) -> list[int]:
    """Cores of a replica: those of a socket, where sockets differ the largest first."""
    if model.num_cpus is not None:
        return [model.num_cpus]
    nodes = {room.node.name: room.node for room in rooms if kind_of_cpus(room.node) == kind}
    return sorted({min(cores_of_sockets(node)) for node in nodes.values()} - {0}, reverse=True)
