"""Which CPUs this process may use and how they hang together, as plain data.

A CPU is what Linux calls one: a thing that runs one thread at a time. Hyper-threads of one core are
several CPUs. Where the system tells nothing (some sandboxes), every CPU is a core of one socket.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
CPUS = "sys/devices/system/cpu"
NODES = "sys/devices/system/node"
POD_VARIABLE = "KUBERNETES_SERVICE_HOST"  # in every container of Kubernetes
SMALL_CORES = "sys/devices/cpu_atom/cpus"  # Intel's, on kernels that tell no capacity
FULL_CAPACITY = 1024
SMALL_CAPACITY = 512  # a guess: only the order counts


@dataclass(frozen=True, slots=True)
class Cpu:
    """One CPU and where it is."""

    number: int
    core: int  # the lowest number among the CPUs of the same core
    socket: int = 0
    node: int = 0  # of memory (NUMA)
    capacity: int = FULL_CAPACITY  # speed next to the machine's fastest CPU, which has 1024


@dataclass(frozen=True, slots=True)
class Topology:
    """The CPUs a process may use."""

    cpus: tuple[Cpu, ...]
    quota: float | None = None  # so many CPUs' time is all a container may use; None: no limit
    unlimited_pod: bool = False  # of Kubernetes, which may put others on any of the CPUs

    @property
    def shares_time(self) -> bool:
        """Whether the CPUs are other containers' too, each of which has a part of the time."""
        return self.quota is not None and self.quota < len(self.cpus)

    def cores_of_sockets(self) -> dict[int, int]:
        """How many cores each socket has."""
        cores = {(cpu.socket, cpu.core) for cpu in self.cpus}
        sockets = sorted({socket for socket, _ in cores})
        return {each: sum(socket == each for socket, _ in cores) for each in sockets}


def this_machine() -> Topology | None:
    """What this process may use; None where the system does not say (only Linux does)."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    return read_topology(ROOT, os.sched_getaffinity(0), in_pod=POD_VARIABLE in os.environ)


def read_topology(root: Path, allowed: Collection[int], *, in_pod: bool = False) -> Topology:
    """The CPUs among `allowed` that are on, as the files below `root` tell of them.

    `in_pod`: this is a container of Kubernetes.
    """
    online = _numbers(root / CPUS / "online") or frozenset(allowed)
    nodes = {number: node for node, cpus in _nodes(root) for number in cpus}
    small = _numbers(root / SMALL_CORES)
    quota = _quota(root)
    return Topology(
        cpus=tuple(
            _cpu(root, number, nodes.get(number, 0), small)
            for number in sorted(online.intersection(allowed))
        ),
        quota=quota,
        unlimited_pod=in_pod and quota is None and online.issubset(allowed),
    )


def _cpu(root: Path, number: int, node: int, small: Collection[int]) -> Cpu:
    folder = root / CPUS / f"cpu{number}"
    siblings = _numbers(folder / "topology/core_cpus_list") or _numbers(
        folder / "topology/thread_siblings_list"  # its name before Linux 5.5
    )
    capacity = SMALL_CAPACITY if number in small else FULL_CAPACITY
    return Cpu(
        number=number,
        core=min(siblings, default=number),
        socket=max(0, _integer(folder / "topology/physical_package_id", 0)),  # -1: unknown
        node=node,
        capacity=_integer(folder / "cpu_capacity", capacity),
    )


def _nodes(root: Path) -> Iterator[tuple[int, frozenset[int]]]:
    for folder in (root / NODES).glob("node[0-9]*"):
        yield int(folder.name.removeprefix("node")), _numbers(folder / "cpulist")


def _quota(root: Path) -> float | None:
    """The least of the limits of this process' cgroup and of those around it."""
    limits = [*_quotas_v2(root), *_quotas_v1(root)]
    return min(limits, default=None)


def _quotas_v2(root: Path) -> Iterator[float]:
    for folder in _cgroups(root, "", root / "sys/fs/cgroup"):
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit():
            yield int(quota) / int(period)


def _quotas_v1(root: Path) -> Iterator[float]:
    for folder in _cgroups(root, "cpu", root / "sys/fs/cgroup/cpu"):
        quota = _integer(folder / "cpu.cfs_quota_us", -1)
        period = _integer(folder / "cpu.cfs_period_us", 0)
        if quota > 0 and period > 0:
            yield quota / period


def _cgroups(root: Path, controller: str, mounted: Path) -> Iterator[Path]:
    """The folder of this process' cgroup, and all that enclose it.

    In a container the path may be the host's, of which only the last part, at `mounted`, is seen.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            folder = mounted / path.lstrip("/")
            yield from (each for each in folder.parents if each.is_relative_to(mounted))
            if folder != mounted:
                yield folder
    yield mounted


def parse_cpus(text: str) -> frozenset[int]:
    """CPUs in Linux's own list format: `0-3,8`."""
    numbers: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return frozenset(numbers)


def format_cpus(numbers: Collection[int]) -> str:
    """The same backwards."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else f"{part[0]}" for part in parts)


def _numbers(path: Path) -> frozenset[int]:
    return parse_cpus(_text(path))


def _integer(path: Path, default: int) -> int:
    text = _text(path)
    return int(text) if text.lstrip("-").isdigit() else default


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
