"""Who goes first where fewer cores than threads are to be had: engines before what serves them.

A thread under Linux's batch policy gets as much time as any other, but does not interrupt one that
computes when it wakes (sched(7)). Ray's processes wake hundreds of times a second. Threads and
processes inherit the policy from the thread that starts them. Elsewhere nothing is changed.
"""

from __future__ import annotations

import os
from contextlib import suppress


def wait_for_engines() -> None:
    """This thread, and what it will start, no longer interrupts others."""
    _adopt("SCHED_BATCH")


def be_an_engine() -> None:
    """This thread, and what it will start, is like any other again."""
    _adopt("SCHED_OTHER")


def _adopt(policy: str) -> None:
    with suppress(AttributeError, OSError):  # not Linux; a sandbox that forbids it
        os.sched_setscheduler(0, getattr(os, policy), os.sched_param(0))
