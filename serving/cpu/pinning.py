"""Threads that stay on their CPUs: those of the engine, whoever starts them.

Threads and processes inherit the CPUs they may use from the thread that starts them. So it is
enough that the thread which loads the engine is on the right ones.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


def may_pin() -> bool:
    """Whether the system lets threads choose their CPUs; some sandboxes do not."""
    try:
        os.sched_setaffinity(0, os.sched_getaffinity(0))
    except (AttributeError, OSError):  # AttributeError: not Linux
        return False
    return True


@contextmanager
def engine_on(cpus: Collection[int], *, then_on: Collection[int] = ()) -> Iterator[None]:
    """What this thread, which runs the event loop, starts meanwhile stays on `cpus`.

    So do, from now on, the threads of `asyncio.to_thread`, in which engines load. Afterwards this
    thread is on `then_on`, or where it was before.
    """
    before = os.sched_getaffinity(0)
    # One of the loop's old threads may be waiting for work, and would not inherit.
    asyncio.get_running_loop().set_default_executor(
        ThreadPoolExecutor(initializer=os.sched_setaffinity, initargs=(0, set(cpus)))
    )
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, then_on or before)
