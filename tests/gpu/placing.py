"""A Ray with this machine's GPUs that serves a config, and what its replicas came to see.

`python -m tests.gpu.placing FOLDER CONFIG.yaml` prints one JSON line and ends.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import ray
import yaml

from inference.local import driver, processes
from inference.local.ports import free_port

NAMESPACE = "serve"
REPLICA = "SERVE_REPLICA::"  # how Serve's names of their actors begin
SETTLED_S = 2.0  # Ray's books are this long behind at most


def seen_by_replica(replica: Any) -> dict[str, Any]:
    """Run in a replica's process: the GPUs Ray says it has, and those torch sees."""
    import torch

    return {
        "given": [str(each) for each in ray.get_gpu_ids()],
        "devices": torch.cuda.device_count(),
    }


def replicas() -> list[Any]:
    names = [each["name"] for each in ray.util.list_named_actors(all_namespaces=True)]
    ours = [name for name in names if name.startswith(REPLICA)]
    return [ray.get_actor(name, namespace=NAMESPACE) for name in ours]


def free_gpus() -> float:
    """What Ray could still give, read until it says the same for a while."""
    free, since = -1.0, time.monotonic()
    while time.monotonic() - since < SETTLED_S:
        now = ray.available_resources().get("GPU", 0.0)
        if now != free:
            free, since = now, time.monotonic()
        time.sleep(0.1)
    return free


def main(folder: str, config: str) -> dict[str, Any]:
    ray.init(
        address="local",
        namespace=NAMESPACE,
        include_dashboard=False,
        log_to_driver=False,
        _temp_dir=folder,
    )
    num_gpus = ray.cluster_resources().get("GPU", 0.0)
    client = driver.start_serve({"host": "127.0.0.1", "port": free_port()})
    driver.deploy(client, yaml.safe_load(Path(config).read_text()))
    free = free_gpus()
    asked = [each.__ray_call__.remote(seen_by_replica) for each in replicas()]
    return {"taken": num_gpus - free, "replicas": ray.get(asked, timeout=60)}


if __name__ == "__main__":
    processes.adopt_orphans()  # vLLM's processes among them, should their replica end first
    try:
        print(json.dumps(main(*sys.argv[1:])), flush=True)
    finally:
        driver.stop()
        processes.stop_descendants()
