"""Which processes descend from one, as /proc shows them."""

from __future__ import annotations

import contextlib
from pathlib import Path


def descendants(root: int) -> list[int]:
    """The pids of all living processes below `root`, parents before children."""
    children: dict[int, list[int]] = {}
    for pid, parent, state in _all_processes():
        if state != "Z":
            children.setdefault(parent, []).append(pid)
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found[1:]


def _all_processes() -> list[tuple[int, int, str]]:
    """(pid, parent's pid, state) of every process on the machine."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # A process may end between the listing and the reading.
            with contextlib.suppress(OSError, ValueError):
                # The command, in parentheses, may itself hold spaces and parentheses.
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                found.append((int(entry.name), int(parent), state))
    return found
