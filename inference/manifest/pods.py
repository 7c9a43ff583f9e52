"""Pod templates of a RayService: the head's, and a worker group's. Plain dicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from inference.manifest import names
from inference.manifest.node_selectors import node_selector
from inference.manifest.serve_config import GRACE_S
from inference.manifest.worker_groups import (
    GIB,
    HEAD_BYTES,
    SHM_BYTES,
    SYSTEM_CPUS,
    WorkerGroup,
    head_cpus,
)
from inference.plan.fleet import GPU_KINDS, Node

HOME = "/home/anynode"

# How long a worker that is to go has: Serve lets its replicas finish GRACE_S before the deadline.
DRAIN_S = GRACE_S + 30
STOP_S = 20

# Ports beside Serve's own. What is not Serve's, network policy closes.
METRICS_PORTS = {"metrics": 8080, "haproxy": 9101}
HEAD_PORTS = {"gcs-server": 6379, "dashboard": 8265, "client": 10001}

DRAIN = (
    "ray drain-node --reason DRAIN_NODE_REASON_PREEMPTION --reason-message 'the pod is deleted' "
    f"--deadline-remaining-seconds {DRAIN_S} && sleep {DRAIN_S}; "
    f"ray stop --grace-period {STOP_S}"
)

GPU_RESOURCES = {"nvidia_gpu": "nvidia.com/gpu", "amd_gpu": "amd.com/gpu"}


def head_template(image: str, node: Node | None, groups: Sequence[WorkerGroup]) -> dict[str, Any]:
    """The head: Ray's own processes and a proxy; no replica, so that none is lost with it."""
    memory = {"memory": quantity(HEAD_BYTES)}
    cpus = head_cpus(node)
    container = {
        "name": "ray-head",
        "image": image,
        "ports": _ports(HEAD_PORTS),
        "env": _env({}),
        "resources": {
            "limits": {"cpu": str(cpus), **memory},
            "requests": {"cpu": str(max(1, cpus - SYSTEM_CPUS)), **memory},
        },
        "securityContext": _container_security(),
        "volumeMounts": _mounts(None),
    }
    spec = {
        **_pod_basics(),
        **({} if node is None else {"nodeSelector": _where_head_is(node, groups)}),
        "containers": [container],
        "volumes": _volumes(SHM_BYTES, models=False),
    }
    return {"metadata": {"labels": dict(names.POD_LABELS)}, "spec": spec}


def _where_head_is(node: Node, groups: Sequence[WorkerGroup]) -> dict[str, str]:
    """By its GPUs too where a model is on them: what a node keeps for the head, others do not."""
    kinds = [group.model.kind for group in groups if group.node.name == node.name]
    return node_selector(node, next((kind for kind in kinds if kind in GPU_KINDS), None))


def worker_template(image: str, group: WorkerGroup, store: str) -> dict[str, Any]:
    """One model's share of a node; weights are below `store`."""
    label = {names.MODEL_LABEL: group.model.name}
    container = {
        "name": "ray-worker",
        "image": image,
        "ports": _ports({}),
        "env": _env({"HF_TOKEN": names.HF_TOKEN, "ANYNODE_API_KEY": names.API_KEYS}, store),
        "resources": _resources(group),
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/bash", "-c", DRAIN]}}},
        **({"readinessProbe": _raylet_probe()} if group.may_lack_replica else {}),
        "securityContext": _container_security(),
        "volumeMounts": _mounts(store),
    }
    spec = {
        **_pod_basics(),
        "terminationGracePeriodSeconds": DRAIN_S + 2 * STOP_S,
        "nodeSelector": {**node_selector(group.node, group.model.kind), **group.node_labels},
        **_device(group),
        "affinity": _one_a_node(label),
        "containers": [container],
        "volumes": _volumes(group.shm_bytes, models=True),
    }
    return {"metadata": {"labels": {**names.POD_LABELS, **label}}, "spec": spec}


def quantity(num_bytes: int) -> str:
    """Bytes in Kubernetes' words, in whole GiB upwards."""
    return f"{math.ceil(num_bytes / GIB)}Gi"


def _resources(group: WorkerGroup) -> dict[str, Any]:
    limits = {"cpu": str(group.num_cpus), "memory": quantity(group.memory_bytes)}
    requests = {"cpu": str(group.cpu_request), "memory": quantity(group.memory_bytes)}
    if group.model.kind in GPU_KINDS:
        limits[GPU_RESOURCES[group.model.kind]] = str(group.num_gpus)
    return {"limits": limits, "requests": requests}


def _device(group: WorkerGroup) -> dict[str, Any]:
    """What pods with GPUs need of Kubernetes beside them."""
    if group.model.kind not in GPU_KINDS:
        return {}
    runtime = {"runtimeClassName": "nvidia"} if group.model.kind == "nvidia_gpu" else {}
    taint = {"key": GPU_RESOURCES[group.model.kind], "operator": "Exists", "effect": "NoSchedule"}
    return {**runtime, "tolerations": [taint]}


def _one_a_node(label: dict[str, str]) -> dict[str, Any]:
    term = {"labelSelector": {"matchLabels": label}, "topologyKey": "kubernetes.io/hostname"}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def _pod_basics() -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": names.USER_ID,
            "runAsGroup": names.USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def _container_security() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def _ports(more: dict[str, int]) -> list[dict[str, Any]]:
    ports = {names.SERVE_PORT_NAME: names.SERVE_PORT, **METRICS_PORTS, **more}
    return [{"name": name, "containerPort": port} for name, port in ports.items()]


def _env(secrets: dict[str, names.SecretKey], store: str | None = None) -> list[dict[str, Any]]:
    plain = {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        # Replicas answer on the loop their port is read on: no hop between threads for each chunk.
        "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        # As long a node waits for a head that is being replaced, answering meanwhile.
        "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
        "HOME": HOME,
        **({} if store is None else {"HF_HOME": f"{store}/huggingface"}),
    }
    return [
        *({"name": name, "value": value} for name, value in plain.items()),
        *(
            {
                "name": name,
                "valueFrom": {
                    "secretKeyRef": {"name": value.secret, "key": value.key, "optional": True}
                },
            }
            for name, value in secrets.items()
        ),
    ]


def _raylet_probe() -> dict[str, Any]:
    """Ready without a proxy: KubeRay's own probe asks for one, and such a pod has none."""
    return {
        "httpGet": {"path": "/api/healthz", "port": 52365},
        "initialDelaySeconds": 10,
        "periodSeconds": 5,
        "failureThreshold": 10,
    }


def _mounts(store: str | None) -> list[dict[str, Any]]:
    mounts = {"tmp": "/tmp", "home": HOME, "dshm": "/dev/shm"}
    if store is not None:
        mounts["models"] = store
    return [{"name": name, "mountPath": path} for name, path in mounts.items()]


def _volumes(shm_bytes: int, *, models: bool) -> list[dict[str, Any]]:
    """The only places that can be written to."""
    volumes: list[dict[str, Any]] = [
        {"name": "tmp", "emptyDir": {}},
        {"name": "home", "emptyDir": {}},
        {"name": "dshm", "emptyDir": {"medium": "Memory", "sizeLimit": quantity(shm_bytes)}},
    ]
    claim = {"persistentVolumeClaim": {"claimName": names.MODELS_CLAIM}}
    return [*volumes, {"name": "models", **claim}] if models else volumes
