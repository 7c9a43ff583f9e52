"""How many replicas Serve runs of the deployment we are in; imported in its replicas only."""

from __future__ import annotations

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
