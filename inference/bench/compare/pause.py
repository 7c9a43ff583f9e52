"""Servers that wait for their turn cost nothing: all their processes are stopped until then.

An idle Ray, for one, keeps about a tenth of a core busy, which the arm under load would pay for.
"""

from __future__ import annotations

import contextlib
import os
import signal

from serving.processes import descendants


def pause(root: int) -> None:
    """Stop `root` and everything below it, parents first, until none is left to stop."""
    stopped: set[int] = set()
    while running := [pid for pid in (root, *descendants(root)) if pid not in stopped]:
        _send(running, signal.SIGSTOP)
        stopped.update(running)


def resume(root: int) -> None:
    """Let them go on, children first: a parent finds its children as it left them."""
    _send([*reversed(descendants(root)), root], signal.SIGCONT)


def _send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
