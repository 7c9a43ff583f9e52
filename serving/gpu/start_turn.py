"""Replicas that share a GPU start one after another.

vLLM finds out how much memory is left for its KV cache by what is free on the device before and
after it has loaded the model: another replica that loads meanwhile would be counted as its own.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from serving.gpu.placement import Wanted
from serving.gpu.visible_gpus import visible_gpus

POLL_S = 0.2


@asynccontextmanager
async def start_turn(wanted: Wanted | None) -> AsyncIterator[None]:
    """Be the only one of this node's replicas to start on its GPU; no wait for one that is alone.

    The kernel ends the turn of a process that dies.
    """
    if wanted is None or not wanted.shares_gpu:
        yield
        return
    with lock_file(visible_gpus()).open("w") as file:
        await _lock(file.fileno())
        yield


def lock_file(gpus: str) -> Path:
    """One for each GPU and user."""
    return Path(tempfile.gettempdir()) / f"anynode-gpu-{os.getuid()}-{gpus or 'any'}.lock"


async def _lock(fileno: int) -> None:
    while True:
        try:
            fcntl.flock(fileno, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            await asyncio.sleep(POLL_S)
