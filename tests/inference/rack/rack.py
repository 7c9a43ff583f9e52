"""A rack on one machine's loopback address: a head, and nodes that come and go."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from inference.local.environment import private_ray
from inference.local.ports import free_block
from tests.inference.rack.dashboard import Dashboard
from tests.inference.rack.manifest import HEAD_GROUP, Pod
from tests.inference.rack.node import Node
from tests.inference.rack.waiting import wait_for

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
        self._nodes: list[Node] = []
        self._num_started = 0

    def __enter__(self) -> Rack:
        # Unix sockets have long names of their own, so the folder needs a short one.
        self._folder = Path(tempfile.mkdtemp(prefix="rack-", dir="/tmp"))
        self._environment = private_ray(os.environ, self._folder, "haproxy") | {
            "RAY_health_check_period_ms": "1000"  # a dead node is noticed in seconds
        }
        gcs_port, dashboard_port, self.port = free_block(3)
        self._gcs = f"{LOOPBACK}:{gcs_port}"
        self.dashboard = Dashboard(
            f"http://{LOOPBACK}:{dashboard_port}", self._environment["RAY_AUTH_TOKEN"]
        )
        try:
            self._start_head(f"--port={gcs_port}", f"--dashboard-port={dashboard_port}")
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
        names = Counter(pod.name for pod in pods)
        self._wait_for(lambda: names <= Counter(self.dashboard.nodes().values()))

    def kill(self, pods: Sequence[Pod]) -> None:
        """Return when the head has noticed."""
        names = {pod.name for pod in pods}
        for node in [each for each in self._nodes if each.name in names]:
            self._nodes.remove(node)
            node.kill()
        self._wait_for(lambda: names.isdisjoint(self.dashboard.nodes().values()))

    def url(self, route_prefix: str) -> str:
        """Of an application, through the head's proxy."""
        return f"http://{LOOPBACK}:{self.port}{route_prefix.rstrip('/')}"

    def _start_head(self, *ports: str) -> None:
        self._start(self._head, "--head", *ports)
        self._wait_for(lambda: HEAD_GROUP in self.dashboard.nodes().values())

    def _start(self, pod: Pod, *arguments: str) -> None:
        self._num_started += 1
        folder = self._folder / str(self._num_started)
        folder.mkdir()
        log = folder / "output.txt"
        self._nodes.append(Node(pod, (*arguments, *ANY_PORTS), folder, self._environment, RAY, log))

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        """Return when it holds; AssertionError as soon as a node has ended by itself."""
        wait_for(lambda: self._all_run() and condition(), self.dashboard.nodes)

    def _all_run(self) -> bool:
        for node in self._nodes:
            node.check()
        return True

    def _end(self) -> None:
        with ExitStack() as stack:  # all of it, also where a part fails
            stack.callback(shutil.rmtree, self._folder)
            stack.callback(self.dashboard.close)
            for node in self._nodes:
                stack.callback(node.kill)
