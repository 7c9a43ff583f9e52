"""Ports nobody uses at this moment."""

from __future__ import annotations

import random
import socket

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


def free_block(size: int) -> range:
    """A row of free ports, chosen at random so that two runs rarely meet.

    Ephemeral ports would not do: Ray's own processes take dozens of those while it starts.
    """
    starts = range(0, len(PRIVATE_RANGE) - size + 1, size)
    blocks = [PRIVATE_RANGE[start : start + size] for start in starts]
    random.shuffle(blocks)
    return next(block for block in blocks if all(is_free("0.0.0.0", port) for port in block))


def free_port() -> int:
    """One port that is free on every interface."""
    return free_block(1)[0]
