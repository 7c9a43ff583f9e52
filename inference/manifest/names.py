"""Names that manifests and the ground they stand on (`k8s/`) have in common."""

from __future__ import annotations

from dataclasses import dataclass

NAMESPACE = "anynode"
MODELS_CLAIM = "anynode-models"  # the PersistentVolumeClaim of the model store
REDIS_ADDRESS = "redis://anynode-redis:6379"
SERVE_PORT = 8000
SERVE_PORT_NAME = "serve"  # KubeRay makes the Service of ports with this name
USER_ID = 10001  # of the images

# Of every pod of ours, by which network policy and monitoring find them.
POD_LABELS = {"app.kubernetes.io/part-of": "anynode"}
MODEL_LABEL = "anynode.model"  # of pods for Kubernetes, of nodes for Ray: whose replicas are there


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One value of a Secret that the operator of the cluster makes; never its value."""

    secret: str
    key: str


HF_TOKEN = SecretKey("anynode-hugging-face", "token")
API_KEYS = SecretKey("anynode-api-keys", "keys")
REDIS_PASSWORD = SecretKey("anynode-redis", "password")
