"""Asks a Kubernetes cluster for its nodes; the only file that knows its client."""

from __future__ import annotations

from typing import Any

from inference.plan.cluster_nodes import fleet_nodes
from serving.errors import ConfigError

TIMEOUT_S = 10


def find_nodes() -> list[dict[str, Any]]:
    """Nodes in a fleet's words, by the kubeconfig or from within a pod. Blocks.

    Raises ConfigError where the client is not installed or the cluster does not answer.
    """
    try:
        from kubernetes import client, config
        from urllib3.exceptions import HTTPError
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"--from-cluster: the Python module '{error.name}' is not installed here; install "
            "anynode[kubernetes]"
        ) from error
    try:
        config.load_config()
        api = client.CoreV1Api()
        listed = api.list_node(_request_timeout=TIMEOUT_S)
    except config.ConfigException as error:
        raise ConfigError(
            f"--from-cluster: no cluster is configured ({error}); set KUBECONFIG to its file"
        ) from error
    except client.ApiException as error:
        raise ConfigError(
            f"--from-cluster: the cluster refused to list its nodes ({error.status} "
            f"{error.reason}); let this account get and list nodes"
        ) from error
    except HTTPError as error:
        raise ConfigError(f"--from-cluster: the cluster does not answer: {error}") from error
    items: list[dict[str, Any]] = api.api_client.sanitize_for_serialization(listed)["items"]
    return fleet_nodes(items)
