"""What KubeRay 1.7 refuses of its own features: upgrades, the autoscaler, Redis, tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from inference.check.finding import Finding
from inference.check.look import at, mapping
from inference.check.ray_service import (
    CLUSTER,
    HEAD,
    RayService,
    containers,
    environment,
    number,
)

INCREMENTAL = "NewClusterWithIncrementalUpgrade"
STRATEGIES = ("NewCluster", INCREMENTAL, "None")
AUTOSCALER_V2 = "RAY_enable_autoscaler_v2"
REDIS_VARIABLES = ("REDIS_PASSWORD", "RAY_REDIS_ADDRESS")
REDIS_ANNOTATIONS = ("ray.io/ft-enabled", "ray.io/external-storage-namespace")
TOKENS_SINCE = (2, 52)


def check_features(service: RayService) -> Iterator[Finding]:
    """All rules of the operator about features that are asked for."""
    for rule in (_upgrade, _autoscaler, _gcs, _auth):
        yield from rule(service)


def _upgrade(service: RayService) -> Iterator[Finding]:
    document, path = service.document, ("spec", "upgradeStrategy")
    strategy = mapping(at(document.data, *path))
    kind = strategy.get("type")
    if kind is not None and kind not in STRATEGIES:
        yield document.finding(
            "upgrade-strategy",
            (*path, "type"),
            f"KubeRay has no strategy {kind}",
            f"write one of {', '.join(STRATEGIES)}",
        )
    options = mapping(strategy.get("clusterUpgradeOptions"))
    if kind == INCREMENTAL and (reason := _incremental(service, options)) is not None:
        yield document.finding("upgrade-strategy", path, *reason)
    if "upgradeStrategy" in service.cluster:
        yield document.finding(
            "upgrade-strategy",
            (*CLUSTER, "upgradeStrategy"),
            "under a RayService it must be unset",
            "say it in spec.upgradeStrategy",
        )


def _incremental(service: RayService, options: Any) -> tuple[str, str] | None:
    """Why an incremental upgrade could not work, and what to do."""
    if not service.autoscaling:
        return (
            "an incremental upgrade needs the autoscaler",
            "set enableInTreeAutoscaling: true in rayClusterConfig",
        )
    if not options.get("gatewayClassName"):
        return (
            "it needs a Gateway to move traffic with",
            "set clusterUpgradeOptions.gatewayClassName",
        )
    step, surge = number(options.get("stepSizePercent")), number(options.get("maxSurgePercent"))
    most = 100 if surge is None else surge
    if step is None or not 0 <= step <= most <= 100:
        return (
            f"stepSizePercent {step} and maxSurgePercent {most} are out of order",
            "keep to 0 <= stepSizePercent <= maxSurgePercent <= 100",
        )
    if (number(options.get("intervalSeconds")) or 0) <= 0:
        return (
            "no time passes between its steps",
            "set clusterUpgradeOptions.intervalSeconds above 0",
        )
    return None


def _autoscaler(service: RayService) -> Iterator[Finding]:
    document = service.document
    options = mapping(service.cluster.get("autoscalerOptions"))
    by_variable = [
        path
        for path, container in containers(service.head)
        if str(environment(container).get(AUTOSCALER_V2, "0")).lower() in {"1", "true"}
    ]
    if by_variable and "version" in options:
        yield document.finding(
            "autoscaler",
            (*CLUSTER, "autoscalerOptions", "version"),
            f"the version is said twice, here and by {AUTOSCALER_V2}",
            "leave the variable out",
        )
    if by_variable and not service.autoscaling:
        yield document.finding(
            "autoscaler",
            (*by_variable[0], "env"),
            f"{AUTOSCALER_V2} needs an autoscaler",
            "set enableInTreeAutoscaling: true, or leave the variable out",
        )
    if not service.autoscaling or not (by_variable or options.get("version") == "v2"):
        return
    for group in service.groups:
        if group.pod.get("restartPolicy") not in {None, "Never"}:
            yield document.finding(
                "autoscaler",
                (*group.pod_path, "restartPolicy"),
                "autoscaler v2 replaces pods itself and refuses those that Kubernetes restarts",
                "write Never, or leave it out",
            )


def _gcs(service: RayService) -> Iterator[Finding]:
    if "gcsFaultToleranceOptions" not in service.cluster:
        return
    document = service.document
    excluded = [
        (*path, "env")
        for path, container in containers(service.head)
        if set(REDIS_VARIABLES) & set(environment(container))
    ]
    if "redis-password" in service.head.start_params:
        excluded.append((*HEAD, "rayStartParams", "redis-password"))
    annotations = mapping(at(document.data, "metadata", "annotations"))
    excluded += [
        ("metadata", "annotations", key) for key in REDIS_ANNOTATIONS if key in annotations
    ]
    for path in excluded:
        yield document.finding(
            "gcs-fault-tolerance",
            path,
            "KubeRay refuses older words for Redis beside gcsFaultToleranceOptions",
            "say it in gcsFaultToleranceOptions: redisAddress, redisPassword.valueFrom, "
            "externalStorageNamespace",
        )


def _auth(service: RayService) -> Iterator[Finding]:
    document, path = service.document, (*CLUSTER, "authOptions")
    options = mapping(service.cluster.get("authOptions"))
    ray = _numbers(service.cluster.get("rayVersion"))
    if options.get("mode") == "token" and (ray is None or ray < TOKENS_SINCE):
        yield document.finding(
            "auth-options",
            (*path, "mode"),
            f"tokens need rayVersion 2.52 or newer, and it is {service.cluster.get('rayVersion')}",
            "set rayVersion to the Ray of the images",
        )
    if options.get("enableK8sTokenAuth"):
        yield document.finding(
            "auth-options",
            (*path, "enableK8sTokenAuth"),
            "KubeRay refuses it for a RayService",
            "leave it out",
        )


def _numbers(text: Any) -> tuple[int, ...] | None:
    found = re.match(r"(\d+)\.(\d+)", str(text))
    return (int(found[1]), int(found[2])) if found else None
