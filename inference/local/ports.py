"""Ports nobody uses at this moment."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

# Below Linux's ephemeral range and above the one Ray gives its own workers.
PRIVATE_RANGE = range(20_000, 32_000)


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As servers do: a connection of a former server that lingers in TIME_WAIT is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Different ports that are free on every interface."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("", 0))
        return [probe.getsockname()[1] for probe in probes]


def free_block(size: int) -> range:
    """A row of ports of which the first is free, chosen at random so that two runs rarely meet."""
    starts = list(PRIVATE_RANGE[:-size:size])
    random.shuffle(starts)
    first = next(start for start in starts if is_free("0.0.0.0", start))
    return range(first, first + size)
