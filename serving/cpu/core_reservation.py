"""CPUs that one process of ours has for itself, as all others on the machine can see.

A CPU is held by a socket bound to a name that stands for it, in Linux's abstract namespace: there
are no files to leave behind or to own, and the kernel frees it with the process, however that
ends. Processes in other network namespaces (other containers) are not seen.
"""

from __future__ import annotations

import asyncio
import socket
import time
import weakref
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from serving.cpu.core_choice import Choose, Place

NAME = "anynode-cpu"
PATIENCE_S = 1.0  # a replica that is replaced needs a moment to end
POLL_S = 0.01


class Reservation:
    """A place that is held until `release`, or until this object or this process ends."""

    def __init__(self, place: Place, held: Iterable[socket.socket]) -> None:
        self.place = place
        self._close = weakref.finalize(self, _close, list(held))

    def release(self) -> None:
        """Let others have the CPUs; safe to call twice."""
        self._close()


def _close(held: Iterable[socket.socket]) -> None:
    for each in held:
        each.close()


async def reserve(
    cpus: Iterable[int], choose: Choose, *, name: str = NAME, patience_s: float = PATIENCE_S
) -> Reservation | None:
    """Hold what `choose` chooses of `cpus`; None when too few were free for `patience_s`."""
    numbers = list(cpus)
    deadline_s = time.monotonic() + patience_s
    while True:
        async with _turn(name, deadline_s) as ours:
            reservation = _try(numbers, choose, name) if ours else None
        if reservation is not None or time.monotonic() > deadline_s:
            return reservation
        await asyncio.sleep(POLL_S)


def _try(cpus: Iterable[int], choose: Choose, name: str) -> Reservation | None:
    """Hold all that are free, then let go what was not chosen: nobody else may choose meanwhile."""
    bound = {number: _bound(f"{name}-{number}") for number in cpus}
    held = {number: each for number, each in bound.items() if each is not None}
    place = choose(bound.keys() - held.keys())
    chosen = set() if place is None else {cpu.number for cpu in place.cpus}
    for number in held.keys() - chosen:
        held.pop(number).close()
    return None if place is None else Reservation(place, held.values())


@asynccontextmanager
async def _turn(name: str, deadline_s: float) -> AsyncIterator[bool]:
    """Be the only one on this machine to choose; False where others did all the time."""
    while (turn := _bound(f"{name}-turn")) is None:
        if time.monotonic() > deadline_s:
            yield False
            return
        await asyncio.sleep(POLL_S)
    with turn:
        yield True


def _bound(name: str) -> socket.socket | None:
    """A socket with this abstract name; None where another has it."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        made.bind(f"\0{name}")
    except OSError:
        made.close()
        return None
    return made
