"""What a deployment runs on, so that callers can say "per core" and "per GPU"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Resources:
    """Of all replicas together."""

    num_replicas: int
    num_cpus: int
    num_gpus: int


# Asks whoever knows; may block for a moment.
ReadResources = Callable[[], Resources]


def one_replica(num_cpus: int, num_gpus: int = 0) -> ReadResources:
    """A replica that is alone."""
    return lambda: Resources(1, num_cpus, num_gpus)


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuUse:
    """The CPU under one replica, and what of it the engine uses, for /health."""

    vendor: str
    model: str
    num_threads: int  # that the engine computes with
    cores: str = ""  # where they run, by the system's numbers: 0-3,8
    pinned: bool = False  # they stay there, and no other replica's threads are put there
    numa_nodes: tuple[int, ...] = ()  # whose memory is near
    instruction_sets: tuple[str, ...] = ()
    missing_instruction_sets: Mapping[str, str] = field(default_factory=dict)  # and what that costs
    warnings: tuple[str, ...] = ()  # what the operator can do better

    def sentence(self) -> str:
        """The same in a line, for a log."""
        where = f" on CPUs {self.cores}" if self.cores else ""
        nodes = f" of NUMA node {', '.join(map(str, self.numa_nodes))}" if self.numa_nodes else ""
        held = " (pinned)" if self.pinned else " (not pinned)"
        sets = ", ".join(self.instruction_sets) or "no instruction sets known"
        threads = "1 thread" if self.num_threads == 1 else f"{self.num_threads} threads"
        return f"{threads}{where}{nodes}{held}; {self.model}, {sets}"
