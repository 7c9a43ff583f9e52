"""What a deployment runs on, so that callers can say "per core" and "per GPU"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


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
