"""Waits for what a cluster will come to, on machines as slow as they may be."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

PATIENCE_S = 240.0  # many nodes on few cores
LOOK_S = 0.2
# What the head answers while it starts, or has just been lost.
NOT_YET = (httpx.HTTPError, KeyError, ValueError)


def wait_for(
    condition: Callable[[], bool], told: Callable[[], Any], patience_s: float = PATIENCE_S
) -> None:
    """Return when it holds; what `told` says is in the failure when that takes too long."""
    deadline = time.monotonic() + patience_s
    while not holds(condition):
        assert time.monotonic() < deadline, told()
        time.sleep(LOOK_S)


def holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except NOT_YET:
        return False
