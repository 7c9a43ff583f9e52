"""What the builder may ask the Ray cluster it runs in; nothing where it runs in none."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from pydantic import ValidationError

from inference.args import ApplicationArgs
from serving.cpu.node_choice import Node, SocketCores
from serving.cpu.topology import this_machine
from serving.errors import ConfigError

logger = logging.getLogger(__name__)

# A cluster's head takes applications while its other nodes still pull their images.
YOUNG_S = 600.0
ANSWER_S = 10.0  # for Serve's controller, and for the state of nodes
PROBE_S = 60.0  # for a process to start on every node


@dataclass(frozen=True, slots=True)
class Asked:
    """What a Serve config says of the deployment of one application."""

    ray_actor_options: Mapping[str, Any] | None = None  # None: the builder's own
    num_replicas: int = 1


def gpus_of_nodes() -> list[int] | None:
    """GPUs of each living node; None outside a cluster."""
    found = nodes()
    return None if found is None else [int(node.resources.get("GPU", 0)) for node in found]


def nodes() -> list[Node] | None:
    """The living nodes; None outside a cluster."""
    import ray

    if not ray.is_initialized():
        return None
    return [
        Node(each["Resources"], each["Labels"], each["NodeID"])
        for each in ray.nodes()
        if each["Alive"]
    ]


def grows() -> bool:
    """Whether nodes may still come, so that what is missing now need not stay so: an autoscaler
    may add them, or the cluster has only just started.
    """
    from ray._private.state import state  # told to Ray's own libraries in no public place

    if state.get_max_resources_from_cluster_config() is not None:
        return True
    return _age_s() < YOUNG_S and not _on_loopback()


def wait_or_raise(error: ConfigError) -> None:
    """Raise what the nodes lack; only say so while others may still come, for which Serve waits."""
    if not grows():
        raise error
    logger.warning("%s. A node that joins may have it: waiting for one.", error.message)


def _on_loopback() -> bool:
    """Whether no other machine can join, as in `anynode serve`."""
    import ray

    try:
        return all(ip_address(node["NodeManagerAddress"]).is_loopback for node in ray.nodes())
    except ValueError:  # a node that has a name for an address
        return False


def _age_s() -> float:
    """Since a node last joined."""
    from ray._private.worker import global_worker  # as Serve itself looks at nodes

    found = global_worker.gcs_client.get_all_node_info(timeout=ANSWER_S).values()
    return time.time() - float(max(node.start_time_ms for node in found)) / 1000


def asked_for(args: ApplicationArgs, deployment: str) -> list[Asked]:
    """What the Serve config says of this deployment of each application with these arguments.

    Serve puts the config's options over the builder's only after it has built the application;
    but its controller has them already. Empty where no config says anything.
    """
    return [
        _asked(each)
        for config in _app_configs()
        if _same(config.get("args"), args)
        for each in config.get("deployments", [])
        if each["name"] == deployment
    ]


def _asked(deployment: Mapping[str, Any]) -> Asked:
    replicas = deployment.get("num_replicas")
    return Asked(deployment.get("ray_actor_options"), replicas if isinstance(replicas, int) else 1)


def _app_configs() -> list[dict[str, Any]]:
    import ray
    from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_NAMESPACE

    try:
        controller = ray.get_actor(SERVE_CONTROLLER_NAME, namespace=SERVE_NAMESPACE)
    except ValueError:  # no Serve runs here
        return []
    try:
        configs = ray.get(controller.get_app_configs.remote(), timeout=ANSWER_S)
    except ray.exceptions.RayError as error:  # this is advice: an application is built without it
        logger.warning("what the Serve config asks of nodes is not checked: %s", error)
        return []
    return [each.model_dump(exclude_unset=True) for each in configs.values()]


def _same(given: Any, args: ApplicationArgs) -> bool:
    try:
        return ApplicationArgs.model_validate(given or {}) == args
    except ValidationError:  # another application's
        return False


def sockets_of(nodes: Sequence[Node]) -> list[SocketCores]:
    """The sockets of each of these nodes that runs our code, by a look at it from there.

    A node that does not could hold no replica either.
    """
    import ray

    looks = {_look_at(node): node for node in nodes}
    done, _ = ray.wait(list(looks), num_returns=len(looks), timeout=PROBE_S)
    found = []
    for look in done:
        with suppress(ray.exceptions.RayError):
            if cores := ray.get(look):
                found.append(SocketCores(looks[look].resources.get("CPU", 0), tuple(cores)))
    return found


def _look_at(node: Node) -> Any:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
    look = ray.remote(cores_of_sockets).options(num_cpus=0, scheduling_strategy=there)
    return look.remote()


def cores_of_sockets() -> list[int]:
    """How many cores each socket of this machine has, of those this process may use."""
    found = this_machine()
    return [] if found is None else list(found.cores_of_sockets().values())
