"""What a committed RayService says, for a Ray without Kubernetes. Pure.

A pod becomes a node of Ray's with the same CPUs, GPUs, labels and variables of Ray's; what it has
of memory, images and volumes is Kubernetes' affair.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from inference.plan.fleet import Fleet
from inference.plan.plan import Plan
from tests.inference.manifest.committed import COMMITTED, ROOT

HEAD_GROUP = "headgroup"  # KubeRay's word
STAND_IN = "tests.inference.rack.stand_in:app_builder"

# (application, worker group) and how many of the application's replicas are there.
Placement = Counter[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Pod:
    """One node of Ray's."""

    name: str  # of its group
    num_cpus: int
    num_gpus: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


def read(name: str) -> dict[str, Any]:
    """One of the committed RayServices."""
    service: dict[str, Any] = yaml.safe_load((ROOT / COMMITTED[name]).read_text())
    return service


def serve_config(service: Mapping[str, Any]) -> dict[str, Any]:
    """Its serveConfigV2, as the operator sends it."""
    config: dict[str, Any] = yaml.safe_load(service["spec"]["serveConfigV2"])
    return config


def head(service: Mapping[str, Any]) -> Pod:
    return _pod(HEAD_GROUP, service["spec"]["rayClusterConfig"]["headGroupSpec"])


def workers(service: Mapping[str, Any]) -> list[Pod]:
    """In the order of their groups, each as often as it is to be there."""
    groups = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    return [_pod(each["groupName"], each) for each in groups for _ in range(each["replicas"])]


def _pod(name: str, group: Mapping[str, Any]) -> Pod:
    container = group["template"]["spec"]["containers"][0]
    return Pod(
        name=name,
        num_cpus=int(group["resources"]["CPU"]),
        num_gpus=int(group["resources"].get("GPU", 0)),
        labels=group.get("labels", {}),
        variables={
            each["name"]: each["value"]
            for each in container["env"]
            if each["name"].startswith("RAY_")
        },
    )


def planned(plan: Plan, fleet: Fleet) -> Placement:
    """Where the plan has each replica: a group is one model's share of nodes that are alike."""
    nodes = {machine: node.name for node in fleet.nodes for machine in node.names()}
    return Counter((each.model, f"{each.model}-{nodes[each.node]}") for each in plan.replicas)


def with_stand_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same, answered by an engine without a model."""
    changed = copy.deepcopy(dict(config))
    for application in changed["applications"]:
        application["import_path"] = STAND_IN
    return changed


def on_one_address(config: Mapping[str, Any], host: str, port: int) -> dict[str, Any]:
    """The same for nodes that share one address, where there is room for one proxy only."""
    place = {"proxy_location": "HeadOnly", "http_options": {"host": host, "port": port}}
    return {**config, **place}
