"""A rack on one machine's loopback address: a head, and nodes that come and go."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from inference.local.environment import private_ray
from inference.local.ports import free_block
from tests.inference.rack.dashboard import Dashboard, wait_for
from tests.inference.rack.manifest import HEAD_GROUP, Pod
from tests.inference.rack.node import Node

LOOPBACK = "127.0.0.1"
RAY = (sys.executable, "-m", "tests.inference.rack.loopback_ray")
# Each node has processes of its own that listen: at ports that nobody uses.
ANY_PORTS = (
    *("--min-worker-port=0", "--max-worker-port=0"),
    "--dashboard-agent-listen-port=0",
    f"--node-ip-address={LOOPBACK}",
)


class Rack:
    """Use as a context manager; leaving it ends every process and removes every file."""

    def __init__(self, head: Pod) -> None:
        self._head = head
        self._nodes: dict[str, Node] = {}
        self._started = 0

    def __enter__(self) -> Rack:
        # Unix sockets have long names of their own, so the folder needs a short one.
        self._folder = Path(tempfile.mkdtemp(prefix="rack-", dir="/tmp"))
        try:
            self._start_head()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def add(self, pods: Sequence[Pod]) -> None:
        """Return when the head knows them all."""
        for pod in pods:
            self._start(pod, f"--address={self._gcs}")
        names = {pod.name for pod in pods}
        self._wait_for(lambda: names <= set(self.dashboard.nodes().values()))

    def kill(self, *names: str) -> None:
        """Return when the head has noticed."""
        for name in names:
            self._nodes.pop(name).kill()
        self._wait_for(lambda: set(names).isdisjoint(self.dashboard.nodes().values()))

    def url(self, route_prefix: str) -> str:
        """Of an application, through the head's proxy."""
        return f"http://{LOOPBACK}:{self.port}{route_prefix.rstrip('/')}"

    def _start_head(self) -> None:
        gcs_port, dashboard_port, self.port = free_block(3)
        self._gcs = f"{LOOPBACK}:{gcs_port}"
        self._environment = private_ray(os.environ, self._folder, "haproxy") | {
            "RAY_health_check_period_ms": "1000"  # a dead node is noticed in seconds
        }
        self.dashboard = Dashboard(
            f"http://{LOOPBACK}:{dashboard_port}", self._environment["RAY_AUTH_TOKEN"]
        )
        ports = (f"--port={gcs_port}", f"--dashboard-port={dashboard_port}")
        self._start(self._head, "--head", *ports)
        self._wait_for(lambda: HEAD_GROUP in self.dashboard.nodes().values())

    def _start(self, pod: Pod, *arguments: str) -> None:
        self._started += 1
        folder = self._folder / str(self._started)
        folder.mkdir()
        self._nodes[pod.name] = Node(
            pod,
            (*arguments, *ANY_PORTS),
            folder,
            self._environment,
            RAY,
            folder / "output.txt",
        )

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        """Return when it holds; AssertionError as soon as a node has ended by itself."""
        wait_for(lambda: self._all_run() and condition(), lambda: list(self._nodes))

    def _all_run(self) -> bool:
        for node in self._nodes.values():
            node.check()
        return True

    def _end(self) -> None:
        for node in reversed(self._nodes.values()):
            node.kill()
        if hasattr(self, "dashboard"):
            self.dashboard.close()
        shutil.rmtree(self._folder)
