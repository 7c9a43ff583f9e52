"""Pods with an address and a file system of their own: a head, workers, and the head's Redis."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path

from inference.local.environment import private_ray
from tests.inference.rack import network
from tests.inference.rack.dashboard import Dashboard
from tests.inference.rack.manifest import Pod
from tests.inference.rack.node import Node
from tests.inference.rack.waiting import wait_for

HEAD = 1  # its number among nodes
GCS_PORT, REDIS_PORT, DASHBOARD_PORT = 6379, 6379, 8265


class Pods:
    """Numbers are of nodes. `end` stops them all."""

    def __init__(self, folder: Path) -> None:
        """`folder`: short, for Unix sockets have long names of their own."""
        self._folder = folder
        self._seen_at = folder / "own"  # where each node has a folder that no other sees
        self._seen_at.mkdir()
        self._password = secrets.token_hex()
        self._environment = private_ray(os.environ, self._seen_at, "haproxy")
        del self._environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"]  # not on loopback alone
        self._nodes: dict[int, Node] = {}
        self.dashboard = Dashboard(
            f"http://{network.address_of(HEAD)}:{DASHBOARD_PORT}",
            self._environment["RAY_AUTH_TOKEN"],
        )
        self._redis = self._start_redis()

    def start(self, number: int, pod: Pod) -> None:
        """Return when the head knows it; its folder is new."""
        folder = self._folder / str(number)
        shutil.copytree(self._seen_at, folder)
        self._nodes[number] = Node(
            pod,
            (*self._arguments(number), f"--node-ip-address={network.address_of(number)}"),
            self._seen_at,
            self._environment | self._variables(number),
            network.ray_inside(number, folder, self._seen_at),
            self._folder / f"{number}.txt",
        )
        wait_for(lambda: self._knows(pod.name), lambda: f"{pod.name} does not come")

    def lose(self, number: int) -> None:
        """Its processes and its disk at once."""
        self._nodes.pop(number).kill()
        shutil.rmtree(self._folder / str(number))

    def end(self) -> None:
        """Their network and what is left of them ends with the caller's own namespaces."""
        for node in self._nodes.values():
            node.kill()
        self._redis.kill()
        self._redis.wait()
        self.dashboard.close()

    def _knows(self, name: str) -> bool:
        for node in self._nodes.values():
            node.check()
        return name in self.dashboard.nodes().values()

    def _arguments(self, number: int) -> tuple[str, ...]:
        if number != HEAD:
            return (f"--address={network.address_of(HEAD)}:{GCS_PORT}",)
        return (
            "--head",
            f"--port={GCS_PORT}",
            f"--dashboard-port={DASHBOARD_PORT}",
            "--dashboard-host=0.0.0.0",
            f"--redis-password={self._password}",
        )

    def _variables(self, number: int) -> dict[str, str]:
        """What KubeRay adds to a pod's variables for gcsFaultToleranceOptions."""
        if number != HEAD:
            return {"RAY_gcs_rpc_server_reconnect_timeout_s": "600"}
        return {
            "RAY_REDIS_ADDRESS": f"redis://{network.HUB}:{REDIS_PORT}",
            "RAY_external_storage_namespace": "rack",
        }

    def _start_redis(self) -> subprocess.Popen[bytes]:
        """In memory only: Redis is not what is lost here."""
        settings = {"bind": network.HUB, "port": str(REDIS_PORT), "requirepass": self._password}
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return subprocess.Popen(
            ["redis-server", *words, "--save", "", "--dir", str(self._folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
