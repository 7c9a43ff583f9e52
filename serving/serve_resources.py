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


def gpus_of_this_node() -> int:
    """All GPUs of the replica's node, whoever uses them."""
    here = ray.get_runtime_context().get_node_id()
    node = next(each for each in ray.nodes() if each["NodeID"] == here)
    return int(node["Resources"].get("GPU", 0))
