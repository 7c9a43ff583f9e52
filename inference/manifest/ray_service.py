"""A plan as a RayService of KubeRay's v1, in plain dicts; its Serve config is one string in it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import yaml

from inference.manifest import names
from inference.manifest.images import head_image, image_of
from inference.manifest.pods import head_template, worker_template
from inference.manifest.serve_config import serve_config
from inference.manifest.settings import ManifestSettings
from inference.manifest.worker_groups import WorkerGroup, worker_groups
from inference.plan.fleet import Fleet
from inference.plan.plan import Plan
from serving.errors import ConfigError

# Serve puts nothing big into Ray's object store; unsaid, it would be a third of a pod's memory.
OBJECT_STORE_BYTES = 500_000_000


def ray_service(plan: Plan, fleet: Fleet, settings: ManifestSettings) -> dict[str, Any]:
    """The whole manifest; raises ConfigError where a plan cannot be one."""
    if not plan.models:
        raise ConfigError("models: none of them has a replica, so there is nothing to deploy")
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": settings.name, "namespace": names.NAMESPACE},
        "spec": {
            "upgradeStrategy": {"type": "None"},
            "serveConfigV2": serve_config_text(plan, fleet),
            "rayClusterConfig": _cluster(plan, fleet, settings),
        },
    }


def serve_config_text(plan: Plan, fleet: Fleet) -> str:
    """The Serve config as the YAML file it is outside of a RayService."""
    return yaml.safe_dump(serve_config(plan, fleet), sort_keys=False)


def _cluster(plan: Plan, fleet: Fleet, settings: ManifestSettings) -> dict[str, Any]:
    password = {"name": names.REDIS_PASSWORD.secret, "key": names.REDIS_PASSWORD.key}
    head_node = next((node for node in fleet.nodes if node.head), None)
    groups = worker_groups(plan, fleet)
    return {
        "rayVersion": version("ray"),
        "enableInTreeAutoscaling": False,
        "authOptions": {"mode": "token"},
        "gcsFaultToleranceOptions": {
            "redisAddress": names.REDIS_ADDRESS,
            "redisPassword": {"valueFrom": {"secretKeyRef": password}},
        },
        "headGroupSpec": {
            "rayStartParams": {"dashboard-host": "0.0.0.0", **_start_params()},
            "resources": {"CPU": "0"},
            "template": head_template(settings.image(head_image(plan)), head_node, groups),
        },
        "workerGroupSpecs": [_worker_group(each, fleet.store.path, settings) for each in groups],
    }


def _worker_group(group: WorkerGroup, store: str, settings: ManifestSettings) -> dict[str, Any]:
    model = group.model
    gpus = {"GPU": str(group.num_gpus)} if group.num_gpus else {}
    return {
        "groupName": group.name,
        "replicas": group.num_pods,
        "minReplicas": group.num_pods,
        "maxReplicas": group.num_pods,
        "rayStartParams": _start_params(),
        "resources": {"CPU": str(group.num_cpus), **gpus},
        "labels": {names.MODEL_LABEL: model.name},
        "template": worker_template(
            settings.image(image_of(model.name, model.kind, model.engine)), group, store
        ),
    }


def _start_params() -> dict[str, str]:
    return {"object-store-memory": str(OBJECT_STORE_BYTES)}
