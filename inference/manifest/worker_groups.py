"""Which worker groups a plan needs: for each model, one for all nodes that hold alike of it. Pure.

A pod is one model's share of one node: so it has one image, Ray can put into it exactly what the
plan did, and on every node of Ray's that Serve has a proxy on there is a replica.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from inference.plan.fleet import GPU_KINDS, HEAD_CORES, Fleet, Node
from inference.plan.plan import ModelPlan, Plan
from serving.errors import ConfigError

GIB = 1024**3
LONGEST_LABEL = 63
SYSTEM_CPUS = 1  # of a node, for Kubernetes' own pods: what ours ask for leaves them

RAY_BYTES = 4 * GIB  # of a pod, for Ray's own processes
HEAD_BYTES = 8 * GIB
# Shared memory, where Ray's object store is, in which Serve keeps nothing big, and where processes
# of one vLLM talk.
SHM_BYTES = GIB
GPU_SHM_BYTES = 8 * GIB


@dataclass(frozen=True, slots=True)
class Share:
    """What one node holds of one model."""

    num_replicas: int  # whose actors are here
    num_devices: int  # of its replicas: GPUs, or sockets


@dataclass(frozen=True, slots=True)
class WorkerGroup:
    """Pods that are alike, each on a node of its own."""

    name: str
    model: ModelPlan
    node: Node
    share: Share
    num_pods: int
    node_labels: Mapping[str, str]  # that its nodes must carry, by the fleet file
    is_tight: bool  # on one of the model's nodes limits leave Kubernetes' own pods no CPU

    @property
    def num_gpus(self) -> int:
        """GPUs of one pod."""
        return self.share.num_devices if self.model.kind in GPU_KINDS else 0

    @property
    def num_cpus(self) -> int:
        """CPUs that Ray gives replicas in one pod."""
        return pod_cpus(self.model, self.share)

    @property
    def cpu_request(self) -> int:
        """CPUs that one pod asks Kubernetes for."""
        return max(1, self.num_cpus - SYSTEM_CPUS) if self.is_tight else self.num_cpus

    @property
    def shm_bytes(self) -> int:
        """Shared memory of one pod, a part of its memory."""
        return shm_bytes(self.model)

    @property
    def memory_bytes(self) -> int:
        """Memory of one pod."""
        return pod_bytes(self.model, self.share)

    @property
    def may_lack_replica(self) -> bool:
        """Whether a pod may have no replica, and so no proxy of Serve's: only parts of replicas
        whose actors are on other nodes."""
        return self.share.num_replicas == 0


def worker_groups(plan: Plan, fleet: Fleet) -> list[WorkerGroup]:
    """In the plan's order; the largest pods of a model first, so that no smaller one takes a node
    that only they need. Raises ConfigError where pods cannot be on their nodes together.
    """
    nodes = {name: node for node in fleet.nodes for name in node.names()}
    shares = {model.name: _shares(model) for model in plan.models}
    labels = {model.name: model.labels for model in fleet.models}
    full = _full_nodes(plan, shares, nodes)
    groups = [
        group
        for model in plan.models
        for group in _groups(model, shares[model.name], nodes, full, labels.get(model.name, {}))
    ]
    for group in groups:
        if len(group.name) > LONGEST_LABEL:
            raise ConfigError(
                f"models.{group.model.name}: a label of Kubernetes holds {LONGEST_LABEL} "
                f"characters and '{group.name}' has {len(group.name)}; give the model or its node "
                "a shorter name",
                param="name",
            )
    return groups


def _shares(model: ModelPlan) -> dict[str, Share]:
    """What each node holds of a model, by the node's name."""
    actors = Counter(replica.node for replica in model.replicas)
    devices = Counter(device.node for replica in model.replicas for device in replica.devices)
    return {name: Share(actors[name], number) for name, number in devices.items()}


def _groups(
    model: ModelPlan,
    shares: Mapping[str, Share],
    nodes: Mapping[str, Node],
    full: set[str],
    labels: Mapping[str, str],
) -> list[WorkerGroup]:
    alike: defaultdict[tuple[str, Share], list[str]] = defaultdict(list)
    for name, share in shares.items():
        alike[nodes[name].name, share].append(name)
    kinds = Counter(node for node, _ in alike)
    found = [
        WorkerGroup(
            name=_name(model.name, node, share if kinds[node] > 1 else None),
            model=model,
            node=nodes[names[0]],
            share=share,
            num_pods=len(names),
            node_labels=labels,
            is_tight=not full.isdisjoint(shares),
        )
        for (node, share), names in alike.items()
    ]
    return sorted(found, key=lambda group: (-group.num_gpus, -group.num_cpus))


def _name(model: str, node: str, share: Share | None) -> str:
    number = "" if share is None else f"-{share.num_replicas}x{share.num_devices}"
    return f"{model}-{node}{number}".replace(".", "-")


def head_cpus(head: Node | None) -> int:
    """CPUs of the head's pod: what its node keeps from replicas."""
    return HEAD_CORES if head is None else max(1, head.cores - head.usable_cores)


def pod_cpus(model: ModelPlan, share: Share) -> int:
    """CPUs of one pod: those its replicas ask of Ray."""
    return max(1, share.num_replicas * model.num_cpus)


def pod_bytes(model: ModelPlan, share: Share) -> int:
    """Memory of one pod: its part of the replicas, and Ray."""
    devices_of_one = len(model.replicas[0].devices)
    parts = math.ceil(model.memory_bytes * share.num_devices / devices_of_one)
    return parts + RAY_BYTES + shm_bytes(model)


def shm_bytes(model: ModelPlan) -> int:
    """Shared memory of one pod."""
    return GPU_SHM_BYTES if model.kind in GPU_KINDS else SHM_BYTES


def _full_nodes(
    plan: Plan, shares: Mapping[str, Mapping[str, Share]], nodes: Mapping[str, Node]
) -> set[str]:
    """Nodes whose pods may use every CPU; raises ConfigError where they are more than it has."""
    full = set()
    for name, node in nodes.items():
        here = [
            (model, shares[model.name][name]) for model in plan.models if name in shares[model.name]
        ]
        cpus = sum(pod_cpus(*each) for each in here) + (head_cpus(node) if node.head else 0)
        memory = sum(pod_bytes(*each) for each in here) + (HEAD_BYTES if node.head else 0)
        _check(name, "cores", cpus, node.cores, "")
        _check(name, "memory", math.ceil(memory / GIB), node.memory // GIB, " GiB")
        if cpus > node.cores - SYSTEM_CPUS:
            full.add(name)
    return full


def _check(node: str, what: str, asked: int, there: int, unit: str) -> None:
    if asked > there:
        raise ConfigError(
            f"nodes.{node}.{what}: its pods ask for {asked}{unit} with what Ray itself needs, and "
            f"the node has {there}{unit}; lower replicas of a model there",
            param=what,
        )
