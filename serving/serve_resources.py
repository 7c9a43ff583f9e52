"""What Ray and Serve know of the replica we are in; imported in replicas only."""

from __future__ import annotations

import ray
from ray import serve

from serving.resources import ReadResources, Resources


def all_replicas(num_cpus: int, num_gpus: int = 0) -> ReadResources:
    """What one replica has, times those that run now; a call asks Serve's controller."""

    def read() -> Resources:
        here = serve.get_replica_context()
        deployment = serve.status().applications[here.app_name].deployments[here.deployment]
        running = int(deployment.replica_states.get("RUNNING", 1))
        return Resources(running, running * num_cpus, running * num_gpus)

    return read


def fixed_replicas() -> int | None:
    """How many replicas the deployment is to have; None where Serve scales it by itself."""
    here = serve.get_replica_context()
    # Serve says it in no public place to a replica; a Ray that keeps it elsewhere checks nothing.
    config = getattr(here, "_deployment_config", None)
    if config is None or config.autoscaling_config is not None:
        return None
    return int(here.world_size)


def cpus_given() -> float:
    """CPUs that Ray keeps for this replica, maybe a part of one; 0 outside a replica."""
    if not ray.is_initialized() or ray.get_runtime_context().get_actor_id() is None:
        return 0.0
    return float(ray.get_runtime_context().get_assigned_resources().get("CPU", 0))


def cpus_of_this_node() -> float:
    """All CPUs of the replica's node by Ray's books; 0 outside Ray."""
    return _of_this_node("CPU") if ray.is_initialized() else 0.0


def gpus_of_this_node() -> int:
    """All GPUs of the replica's node, whoever uses them."""
    return int(_of_this_node("GPU"))


def _of_this_node(resource: str) -> float:
    here = ray.get_runtime_context().get_node_id()
    node = next(each for each in ray.nodes() if each["NodeID"] == here)
    return float(node["Resources"].get(resource, 0))
