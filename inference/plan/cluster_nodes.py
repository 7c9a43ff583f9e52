"""Nodes of a Kubernetes cluster, as its API lists them, in a fleet's words. Pure.

What is read: allocatable cores, memory and GPUs; labels of NVIDIA's GPU feature discovery, AMD's
node labeller and Node Feature Discovery.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from serving.errors import ConfigError

NFD = "feature.node.kubernetes.io/"
VENDOR = f"{NFD}cpu-model.vendor_id"
VENDORS = {"Intel": "INTEL", "GenuineIntel": "INTEL", "AMD": "AMD", "AuthenticAMD": "AMD"}
ROLES = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
GPU_TAINTS = ("nvidia.com/gpu", "amd.com/gpu")  # pods that ask for GPUs bear these
OTHERS = ("kubernetes.io/", "k8s.io/", "k3s.io/", "nvidia.com/", "amd.com/")  # labels not a user's
KEPT = (VENDOR, "nvidia.com/gpu.product", "amd.com/gpu.product-name")

SUFFIXES = {
    "m": Decimal("0.001"),
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)},
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", 1)},
}


def fleet_nodes(listed: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Nodes that pods of a cluster can be on, the oldest first; raises ConfigError for none."""
    usable = sorted(filter(_takes_pods, listed), key=_age)
    if not usable:
        raise ConfigError("--from-cluster: no node of this cluster is ready to take pods")
    nodes = [_node(each) for each in usable]
    heads = [number for number, each in enumerate(usable) if _is_control_plane(each)]
    nodes[heads[0] if heads else 0]["head"] = True
    return nodes


def _takes_pods(item: Mapping[str, Any]) -> bool:
    spec = item.get("spec") or {}
    conditions = (item.get("status") or {}).get("conditions") or []
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    barred = any(
        taint.get("effect") in ("NoSchedule", "NoExecute") and taint["key"] not in GPU_TAINTS
        for taint in spec.get("taints") or []
    )
    return ready and not barred and not spec.get("unschedulable")


def _age(item: Mapping[str, Any]) -> tuple[str, str]:
    """New nodes come last, where they make no plan worse."""
    about = item["metadata"]
    return str(about.get("creationTimestamp") or ""), about["name"]


def _is_control_plane(item: Mapping[str, Any]) -> bool:
    return any(role in _labels(item) for role in ROLES)


def _labels(item: Mapping[str, Any]) -> Mapping[str, str]:
    return item["metadata"].get("labels") or {}


def _node(item: Mapping[str, Any]) -> dict[str, Any]:
    name, labels, there = item["metadata"]["name"], _labels(item), item["status"]["allocatable"]
    own = {key: text for key, text in labels.items() if not any(word in key for word in OTHERS)}
    return {
        "name": name,
        "vendor": _vendor(name, labels),
        "cores": int(quantity(there["cpu"])),
        # Node Feature Discovery says no more than whether there are several memories.
        "sockets": 2 if labels.get(f"{NFD}memory-numa") == "true" else 1,
        "threads_per_core": 2 if labels.get(f"{NFD}cpu-hardware_multithreading") == "true" else 1,
        "memory": int(quantity(there["memory"])),
        "gpus": list(_gpus(name, labels, there)),
        "labels": own | {key: labels[key] for key in KEPT if key in labels},
    }


def _vendor(name: str, labels: Mapping[str, str]) -> str:
    said = labels.get(VENDOR)
    if said not in VENDORS:
        raise ConfigError(
            f"--from-cluster: node {name} has no label {VENDOR} that says Intel or AMD"
            f"{'' if said is None else f' (it says {said})'}; install Node Feature Discovery, or "
            "write the nodes into a fleet file"
        )
    return VENDORS[said]


def _gpus(
    name: str, labels: Mapping[str, str], there: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    count = int(there.get("nvidia.com/gpu", "0")) // int(labels.get("nvidia.com/gpu.replicas", "1"))
    if count:
        product = _product(name, labels, "nvidia.com/gpu.product", "GPU feature discovery")
        found: dict[str, Any] = {"product": product.removesuffix("-SHARED"), "vendor": "NVIDIA"}
        if memory := labels.get("nvidia.com/gpu.memory"):
            found["memory"] = int(memory) * 2**20
        yield found | {"count": count}
    if count := int(there.get("amd.com/gpu", "0")):
        product = _product(name, labels, "amd.com/gpu.product-name", "AMD's node labeller")
        yield {"product": product, "vendor": "AMD", "count": count}


def _product(name: str, labels: Mapping[str, str], label: str, writer: str) -> str:
    if label not in labels:
        raise ConfigError(
            f"--from-cluster: node {name} has GPUs but no label {label}; install {writer}, or "
            "write the nodes into a fleet file"
        )
    return labels[label]


def quantity(text: str) -> Decimal:
    """A number in Kubernetes' form: `160`, `159500m`, `263852Ki`, `300G`."""
    for suffix, factor in SUFFIXES.items():
        if text.endswith(suffix):
            return Decimal(text.removesuffix(suffix)) * factor
    return Decimal(text)
