"""The model store as Kubernetes sees it, for a fleet whose file names its NFS server."""

from __future__ import annotations

from typing import Any

from inference.manifest import names
from inference.plan.fleet import ModelStore

ACCESS = ["ReadWriteMany"]


def model_store(store: ModelStore) -> list[dict[str, Any]]:
    """Volume and claim; none where the server is not known, which `k8s/storage` is for."""
    if store.nfs_server is None:
        return []
    size = f"{store.size // 10**9}G"
    volume = {
        "capacity": {"storage": size},
        "accessModes": ACCESS,
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "",
        "mountOptions": ["nfsvers=4.1", "hard"],
        "nfs": {"server": store.nfs_server, "path": store.nfs_path},
    }
    claim = {
        "accessModes": ACCESS,
        "storageClassName": "",
        "volumeName": names.MODELS_CLAIM,
        "resources": {"requests": {"storage": size}},
    }
    return [
        _object("PersistentVolume", {"name": names.MODELS_CLAIM}, volume),
        _object(
            "PersistentVolumeClaim",
            {"name": names.MODELS_CLAIM, "namespace": names.NAMESPACE},
            claim,
        ),
    ]


def _object(kind: str, metadata: dict[str, str], spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec}
