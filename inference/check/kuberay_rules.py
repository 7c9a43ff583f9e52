"""What KubeRay 1.7 refuses in a RayService beyond its schema, or takes otherwise than it is meant.

The operator says these only in its log or in the object's status, after `kubectl apply`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from inference.check.document import Path
from inference.check.finding import Finding
from inference.check.look import at
from inference.check.ray_service import (
    CLUSTER,
    HEAD,
    Group,
    RayService,
    number,
)

NAME_LENGTH = 47  # of a RayService: names of pods are made of it
NAME = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")  # DNS-1035
EXCLUSIVE = ("num-cpus", "num-gpus", "memory", "resources")


def check_kuberay(service: RayService) -> Iterator[Finding]:
    """All rules of the operator about what there is: names, groups, how nodes start."""
    for rule in (
        _identity,
        _misuse,
        _bounds,
        _start_params,
        _version,
    ):
        yield from rule(service)


def _identity(service: RayService) -> Iterator[Finding]:
    document, name = service.document, service.name
    said = document.data.get("apiVersion")
    if said == "ray.io/v1alpha1":
        yield document.finding(
            "api-version",
            ("apiVersion",),
            "KubeRay 1.9 will not know v1alpha1",
            "write ray.io/v1",
        )
    elif said != "ray.io/v1":
        yield document.finding(
            "value", ("apiVersion",), f"no KubeRay serves {said}", "write ray.io/v1"
        )
    if len(name) > NAME_LENGTH or not NAME.match(name):
        wrong = f"{len(name)} characters" if len(name) > NAME_LENGTH else f"'{name}'"
        yield document.finding(
            "rayservice-name",
            ("metadata", "name"),
            f"KubeRay refuses {wrong}: names of Services and pods are made of it",
            f"use at most {NAME_LENGTH} of a-z, 0-9 and -, beginning with a letter",
        )


def _misuse(service: RayService) -> Iterator[Finding]:
    document = service.document
    name = (*HEAD, "headService", "metadata", "name")
    if at(document.data, *name) is not None:
        yield document.finding(
            "head-service-name", name, "KubeRay names the head's Service itself", "leave it out"
        )
    delay = number(at(document.data, "spec", "rayClusterDeletionDelaySeconds"))
    if delay is not None and delay < 0:
        yield document.finding(
            "deletion-delay",
            ("spec", "rayClusterDeletionDelaySeconds"),
            f"{delay} seconds are no time to wait",
            "write 0 or more",
        )
    for group in service.groups:
        if group.spec.get("template") is not None and not group.container:
            yield document.finding(
                "group-container",
                group.pod_path,
                f"group {group.name} has no container for Ray",
                "put Ray's container first in containers",
            )


def _bounds(service: RayService) -> Iterator[Finding]:
    document, names = service.document, set[str]()
    for group in service.workers:
        if group.name in names:
            yield document.finding(
                "group-name",
                (*group.path, "groupName"),
                f"there are two groups {group.name}",
                "give each a name of its own",
            )
        names.add(group.name)
        yield from _bounds_of(service, group)
        if group.spec.get("suspend") is True and service.autoscaling:
            yield document.finding(
                "suspended-group",
                (*group.path, "suspend"),
                "KubeRay suspends no group while the autoscaler is on",
                "set replicas and minReplicas to 0, or enableInTreeAutoscaling: false",
            )


def _bounds_of(service: RayService, group: Group) -> Iterator[Finding]:
    document, spec = service.document, group.spec
    least, most, asked = (
        number(spec.get(key)) for key in ("minReplicas", "maxReplicas", "replicas")
    )
    if min(least or 0, most or 0, asked or 0) < 0:
        yield document.finding(
            "group-bounds", group.path, "a number of pods is negative", "write 0 or more"
        )
    elif least is not None and most is not None and least > most:
        yield document.finding(
            "group-bounds",
            (*group.path, "minReplicas"),
            f"{least} is more than maxReplicas {most}",
            "make it equal or less",
        )
    elif asked is not None and not (least or 0) <= asked <= (asked if most is None else most):
        kept = max(min(asked, asked if most is None else most), least or 0)
        yield document.finding(
            "group-clamped",
            (*group.path, "replicas"),
            f"KubeRay makes {kept} of {asked} without a word, to stay within minReplicas and "
            "maxReplicas",
            f"write {kept}, or widen the bounds",
        )


def _start_params(service: RayService) -> Iterator[Finding]:
    document = service.document
    for group in service.groups:
        params, path = group.start_params, (*group.path, "rayStartParams")
        both = [key for key in EXCLUSIVE if key in params]
        if group.spec.get("resources") and both:
            yield document.finding(
                "group-resources",
                (*path, both[0]),
                f"KubeRay refuses {both[0]} here where the group has resources of its own",
                "say it in the group's resources",
            )
        if "labels" in params:
            yield document.finding(
                "start-params-labels",
                (*path, "labels"),
                "KubeRay refuses labels here",
                "say them in the group's labels",
            )
        yield from _start_params_of_ray(service, params, path)


def _start_params_of_ray(
    service: RayService, params: Mapping[str, Any], path: Path
) -> Iterator[Finding]:
    """What KubeRay passes on and Ray then stumbles over."""
    text = params.get("resources")
    if isinstance(text, str) and not survives_bash(text):
        yield service.document.finding(
            "start-params-quoting",
            (*path, "resources"),
            "bash takes its quotes away, and Ray then reads no JSON",
            'say it in the group\'s resources: resources: {name: "1"}',
        )
    if "node-name" in params:
        yield service.document.finding(
            "start-params-node-name",
            (*path, "node-name"),
            "Serve's HAProxy takes a node's name for its address, and answers 404 to everything",
            "leave it out: Ray names nodes by their addresses",
        )


def survives_bash(text: str) -> bool:
    """Whether `ray start --resources=TEXT` still gets one argument, with its quotes."""
    try:
        words = shlex.split(f"--resources={text}")
    except ValueError:
        return False
    return len(words) == 1 and (words[0].count('"') >= 2 or words[0] == "--resources={}")


def _version(service: RayService) -> Iterator[Finding]:
    said = service.cluster.get("rayVersion")
    try:
        ours = version("ray")
    except PackageNotFoundError:
        return
    if said is not None and str(said) != ours:
        yield service.document.finding(
            "ray-version",
            (*CLUSTER, "rayVersion"),
            f"anynode comes with Ray {ours}, and Ray refuses to mix versions in one cluster",
            f"write {ours}, or see that all images have {said}",
        )
