"""The mixed manifest's head is lost, disk and all, and comes back; its workers are asked meanwhile.

`python -m tests.inference.rack.head_loss FOLDER`, as root and inside `network.OWN`, prints as JSON
what was seen. Each pod has its own address, so that ports, proxies, Redis and what KubeRay adds
for it are as in the manifest; only the engines are exchanged.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.inference.rack import manifest, network
from tests.inference.rack.asking import Ask, Asking, completion, probe
from tests.inference.rack.manifest import Pod
from tests.inference.rack.pods import HEAD, Pods
from tests.inference.rack.waiting import wait_for

MANIFEST = "mixed"
SERVE_PORT, AGENT_PORT = 8000, 52365
NUM_ANSWERS = 30  # of each way: without the head, and again when it is back


def main(folder: Path) -> dict[str, Any]:
    service = manifest.read(MANIFEST)
    config = manifest.serve_config(service)
    head, *workers = manifest.head(service), *manifest.workers(service)
    network.make_hub()
    with ExitStack() as stack:
        pods = Pods(folder)
        stack.callback(pods.end)
        start(pods, HEAD, head)
        # As the operator does: while workers may still be pulling their images.
        pods.dashboard.deploy(manifest.with_stand_in(config))
        for number, pod in enumerate(workers, HEAD + 1):
            start(pods, number, pod)
        wait_for(pods.dashboard.all_run, pods.dashboard.applications)
        return lose_head(pods, head, ways_of(workers, config))


def start(pods: Pods, number: int, pod: Pod) -> None:
    network.make_node(number)
    pods.start(number, pod)


def ways_of(workers: list[Pod], config: Mapping[str, Any]) -> dict[str, Ask]:
    """Each worker is asked for an application that is on another one, and for what makes it ready
    in KubeRay's eyes.
    """
    ways: dict[str, Ask] = {}
    for number, pod in enumerate(workers, HEAD + 1):
        url = f"http://{network.address_of(number)}"
        others = [
            each for each in config["applications"] if each["args"]["label_selector"] != pod.labels
        ]
        elsewhere = others[number % len(others)]
        route, name = elsewhere["route_prefix"], elsewhere["name"]
        ways[f"{name} through {pod.name}"] = completion(f"{url}:{SERVE_PORT}{route}", name)
        ways[f"readiness of {pod.name}"] = probe(
            f"{url}:{AGENT_PORT}/api/local_raylet_healthz", f"{url}:{SERVE_PORT}/-/healthz"
        )
    return ways


def lose_head(pods: Pods, head: Pod, ways: Mapping[str, Ask]) -> dict[str, Any]:
    """Ask, kill, go on asking, start again, go on asking."""
    for ask in ways.values():
        wait_for(lambda ask=ask: ask() is None, ask)
    before = replicas(pods)
    with ExitStack() as stack:
        asking = {way: stack.enter_context(Asking(ask)) for way, ask in ways.items()}
        pods.lose(HEAD)
        without_head = go_on(asking)
        pods.start(HEAD, head)
        wait_for(pods.dashboard.all_run, pods.dashboard.applications)
        with_head = go_on(asking)
    return {
        "answered_without_head": without_head,
        "answered_with_head": with_head,
        "failures": {way: each.failures for way, each in asking.items() if each.failures},
        "replicas_before": before,
        "replicas_after": replicas(pods),
        "placement": sorted([*where, n] for where, n in pods.dashboard.placement().items()),
    }


def go_on(asking: Mapping[str, Asking]) -> dict[str, int]:
    """Return when each way has been asked often enough from now; how many were answered."""
    began = {way: each.num_answered for way, each in asking.items()}
    for way, each in asking.items():
        enough = began[way] + NUM_ANSWERS
        wait_for(lambda each=each, enough=enough: each.num_answered >= enough, each.told)
    return {way: each.num_answered - began[way] for way, each in asking.items()}


def replicas(pods: Pods) -> list[list[Any]]:
    """Which processes, on which nodes."""
    return sorted(
        [each["application"], each["replica_id"], each["pid"], each["node_id"]]
        for each in pods.dashboard.replicas()
    )


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
