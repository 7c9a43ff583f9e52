"""A RayService as a cluster: its groups of pods, what each pod offers Ray, and its Serve config."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from inference.check.document import Document, Path
from inference.check.look import at, mapping, quantity, sequence

CLUSTER: Path = ("spec", "rayClusterConfig")
HEAD: Path = (*CLUSTER, "headGroupSpec")
WORKERS: Path = (*CLUSTER, "workerGroupSpecs")

HTTP_PORT = 8000  # Serve's own default
VENDOR_LABELS = ("feature.node.kubernetes.io/cpu-model.vendor_id", "cpu-vendor")
GPU_KEYS = ("nvidia.com/gpu", "amd.com/gpu")

Vendor = Literal["INTEL", "AMD"]


@dataclass(frozen=True, slots=True)
class Group:
    """The head, or one group of workers."""

    path: Path
    name: str
    spec: Mapping[str, Any]
    is_head: bool

    @property
    def pod(self) -> Mapping[str, Any]:
        """The pod's spec."""
        return mapping(at(self.spec, "template", "spec"))

    @property
    def pod_path(self) -> Path:
        """Where the pod's spec is."""
        return (*self.path, "template", "spec")

    @property
    def container(self) -> Mapping[str, Any]:
        """Ray's container, which is the first."""
        return mapping(at(self.pod, "containers", 0))

    @property
    def container_path(self) -> Path:
        """Where Ray's container is."""
        return (*self.pod_path, "containers", 0)

    @property
    def start_params(self) -> Mapping[str, Any]:
        """What `ray start` is told."""
        return mapping(self.spec.get("rayStartParams"))

    def limit(self, name: str) -> float | None:
        """What Ray's container may have of a resource, else what it requests."""
        resources = self.container.get("resources")
        limit = quantity(at(resources, "limits", name))
        return limit if limit is not None else quantity(at(resources, "requests", name))

    @property
    def device(self) -> str | None:
        """Which GPUs it has: a key of its limits."""
        return next((key for key in GPU_KEYS if self.limit(key)), None)

    @property
    def vendor(self) -> Vendor | None:
        """Whose CPUs it is kept on, where that is said."""
        selector, labels = mapping(self.pod.get("nodeSelector")), mapping(self.spec.get("labels"))
        for name in VENDOR_LABELS:
            said = str(selector.get(name) or labels.get(name) or "").lower()
            if "intel" in said:
                return "INTEL"
            if "amd" in said:
                return "AMD"
        return None

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its Ray nodes."""
        return {key: str(value) for key, value in mapping(self.spec.get("labels")).items()}

    def resources(self) -> dict[str, float]:
        """What one pod offers Ray, as KubeRay tells `ray start`; infinite where nothing is said and
        Ray counts what the machine has.
        """
        told, params = mapping(self.spec.get("resources")), self.start_params
        cpus, gpus = self.limit("cpu"), self.limit(self.device) if self.device else None
        offered = {
            "CPU": _first(
                params.get("num-cpus"), told.get("CPU"), cpus and math.ceil(cpus), math.inf
            ),
            "GPU": _first(params.get("num-gpus"), told.get("GPU"), gpus, 0),
            "memory": _first(
                params.get("memory"), told.get("memory"), self.limit("memory"), math.inf
            ),
        }
        own = {
            key: quantity(value) or 0
            for key, value in (*told.items(), *_own_resources(params.get("resources")).items())
            if key not in offered
        }
        return offered | own

    def num_pods(self, *, autoscaling: bool = False) -> int:
        """How many pods there will be; with an autoscaler, the most there may be."""
        if self.is_head:
            return 1
        least, most = number(self.spec.get("minReplicas")), number(self.spec.get("maxReplicas"))
        asked = number(self.spec.get("replicas"))
        replicas = least if asked is None else asked
        replicas = replicas if replicas is not None else (most or 0)
        if most is not None:
            replicas = most if autoscaling else min(replicas, most)
        if least is not None:
            replicas = max(replicas, least)
        return replicas * (number(self.spec.get("numOfHosts")) or 1)


@dataclass(frozen=True, slots=True)
class RayService:
    """One RayService, and the Serve config in it."""

    document: Document

    @property
    def name(self) -> str:
        """Its name; Services are named after it."""
        return str(at(self.document.data, "metadata", "name") or "")

    @property
    def cluster(self) -> Mapping[str, Any]:
        """Its rayClusterConfig."""
        return mapping(at(self.document.data, *CLUSTER))

    @property
    def serve(self) -> Document | None:
        """The Serve config, where it can be read."""
        return self.document.part

    @property
    def head(self) -> Group:
        """The head's group."""
        return Group(HEAD, "head", mapping(self.cluster.get("headGroupSpec")), is_head=True)

    @property
    def workers(self) -> list[Group]:
        """The groups of workers."""
        return [
            Group((*WORKERS, index), str(at(each, "groupName") or index), mapping(each), False)
            for index, each in enumerate(sequence(self.cluster.get("workerGroupSpecs")))
        ]

    @property
    def groups(self) -> list[Group]:
        """All groups, the head first."""
        return [self.head, *self.workers]

    @property
    def autoscaling(self) -> bool:
        """Whether Ray may ask for more pods."""
        return self.cluster.get("enableInTreeAutoscaling") is True

    @property
    def http_port(self) -> int:
        """Where Serve's proxies listen."""
        said = at(self.serve.data, "http_options", "port") if self.serve else None
        return said if isinstance(said, int) else HTTP_PORT

    @property
    def proxy_location(self) -> str:
        """On which nodes Serve's proxies are."""
        said = at(self.serve.data, "proxy_location") if self.serve else None
        return said if isinstance(said, str) else "EveryNode"


def containers(group: Group) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Every container of a group's pods, and where it is written."""
    for kind in ("initContainers", "containers"):
        for index, each in enumerate(sequence(group.pod.get(kind))):
            yield (*group.pod_path, kind, index), mapping(each)


def environment(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """A container's variables by name; None for a value that is taken from elsewhere."""
    return {
        str(each["name"]): each.get("value")
        for each in map(mapping, sequence(container.get("env")))
        if "name" in each
    }


def number(value: Any) -> int | None:
    """The value if it is a whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _first(*amounts: Any) -> float:
    """The first amount that was said."""
    return next(found for each in amounts if (found := quantity(each)) is not None)


def _own_resources(text: Any) -> Mapping[str, Any]:
    """What rayStartParams.resources says once bash has read it; empty where bash spoils it."""
    if not isinstance(text, str):
        return {}
    try:
        return mapping(json.loads(text.strip().strip("'\"").replace('\\"', '"')))
    except json.JSONDecodeError:
        return {}
