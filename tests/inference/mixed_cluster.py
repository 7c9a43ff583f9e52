"""A Ray of three nodes on this machine, of which two say that they have an AMD and an Intel CPU.

`python -m tests.inference.mixed_cluster` serves applications for both and prints, as JSON,
where their replicas are, what they say of themselves, and what becomes of those that fit nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import ray
from ray._private.state import actors, available_resources_per_node
from ray.cluster_utils import Cluster
from ray.serve._private.api import serve_start

from inference.local.driver import Failed, deploy
from inference.local.ports import free_port

LOOPBACK = "127.0.0.1"
NUM_CPUS = 8  # of each node by Ray's books, whatever this machine has


def main() -> dict[str, Any]:
    port = free_port()
    with mixed_cluster() as nodes:
        # What `serve deploy` calls; the public serve.start gives no client that takes a config.
        client = serve_start(
            http_options={"host": LOOPBACK, "port": port}, proxy_location="HeadOnly"
        )
        url = f"http://{LOOPBACK}:{port}"
        told = [told_by(client, url, nodes, each) for each in (TWO_VENDORS, ONE_FOR_A_SOCKET)]
        refused = [refusal(client, each) for each in IN_VAIN]
    return {**told[0], **told[1], "refused": refused}


@contextmanager
def mixed_cluster() -> Iterator[dict[str, str]]:
    """The names of its nodes by their ids. All that it writes is below RAY_TMPDIR."""
    kept = {"object_store_memory": 80 * 1024 * 1024}
    head = {**kept, "num_cpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = {cluster.head_node.node_id: "head"}
    for name, said in NODES.items():
        nodes[cluster.add_node(num_cpus=NUM_CPUS, **kept, **said).node_id] = name
    ray.init(address=cluster.address, namespace="serve", log_to_driver=False)
    try:
        yield nodes
    finally:
        ray.shutdown()
        cluster.shutdown()


NODES: dict[str, dict[str, Any]] = {
    "amd": {"resources": {"amd_cpu": 1}, "labels": {"cpu-vendor": "AMD"}},
    "intel": {"labels": {"cpu-vendor": "Intel"}},
}


def application(name: str, options: dict[str, Any] | None, **args: Any) -> dict[str, Any]:
    """As in a Serve config; `options` are the deployment's `ray_actor_options`."""
    deployments = [{"name": "CPUDeployment", "ray_actor_options": options}] if options else []
    return {
        "name": name,
        "route_prefix": f"/{name}",
        "import_path": "inference:typed_app_builder",
        "args": {"model_name": name, "engine": "echo", **args},
        "deployments": deployments,
    }


# By a resource, and by a label.
TWO_VENDORS = [
    application("amd", {"num_cpus": 2, "resources": {"amd_cpu": 0.5}}, target_device="AMD"),
    application(
        "intel", {"num_cpus": 1, "label_selector": {"cpu-vendor": "Intel"}}, target_device="INTEL"
    ),
]
ONE_FOR_A_SOCKET = [
    application("share", None, replicas_per_socket=1, label_selector={"cpu-vendor": "Intel"})
]
IN_VAIN = [
    application("vain", {"num_cpus": NUM_CPUS + 1}),
    application("vain", {"num_cpus": 1, "resources": {"arm_cpu": 1}}),
    application("vain", None, label_selector={"cpu-vendor": "ARM"}),
]


def told_by(
    client: Any, url: str, nodes: dict[str, str], applications: list[dict[str, Any]]
) -> dict[str, Any]:
    """On which node each application's replica is, what is left there, and its /health."""
    deploy(client, {"applications": applications})
    return {each["name"]: replica(each["name"], url, nodes) for each in applications}


def replica(name: str, url: str, nodes: dict[str, str]) -> dict[str, Any]:
    (actor,) = (
        each
        for each in actors().values()
        if each["Name"].startswith(f"SERVE_REPLICA::{name}#") and each["State"] == "ALIVE"
    )
    node = actor["Address"]["NodeID"]
    return {
        "node": nodes[node],
        "cpus_left": available_resources_per_node()[node].get("CPU", 0),
        "health": httpx.get(f"{url}/{name}/health", timeout=30).json(),
    }


def refusal(client: Any, application: dict[str, Any]) -> str:
    """What Serve says of an application that no node can hold."""
    try:
        deploy(client, {"applications": [application]})
    except Failed as error:
        return str(error)
    return "it runs"


if __name__ == "__main__":
    print(json.dumps(main()))
