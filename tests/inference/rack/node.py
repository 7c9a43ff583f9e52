"""One node of Ray's in processes of its own, started as KubeRay starts a pod: by `ray start`."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.inference.rack.manifest import Pod

OBJECT_STORE_BYTES = 80_000_000  # near Ray's least, in place of the manifests' 500 MB
LOG_CHARS = 3000  # the last of what it said, for a failure


class Node:
    """Leaves no process when it is killed."""

    def __init__(
        self,
        pod: Pod,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        ray: Sequence[str],
        log: Path,
    ) -> None:
        """`ray`: the command of this name, which writes below `folder` and says into `log`."""
        self.name = pod.name
        self._log = log
        with self._log.open("wb") as output:
            self._process = psutil.Popen(
                [*ray, "start", "--block", *ray_start(pod, folder), *arguments],
                env={
                    **environment,
                    **pod.variables,
                    "RAY_NODE_TYPE_NAME": pod.name,  # as KubeRay tells it
                    "HOME": str(folder),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """All of its processes at once, as a pod's are when its machine is gone."""
        try:
            tree = [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            tree = []
        for process in tree:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self._process.wait()
        _, left = psutil.wait_procs(tree, timeout=30)
        assert not left, left

    def check(self) -> None:
        """AssertionError with what it said where it has ended."""
        assert self._process.poll() is None, self._log.read_text()[-LOG_CHARS:]


def ray_start(pod: Pod, folder: Path) -> list[str]:
    """Arguments of `ray start`: what KubeRay makes of a group's resources and labels."""
    labels = ",".join(f"{key}={value}" for key, value in pod.labels.items())
    return [
        f"--num-cpus={pod.num_cpus}",
        f"--num-gpus={pod.num_gpus}",
        f"--labels={labels}",
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        f"--temp-dir={folder / 'ray'}",
    ]
