"""Who may run now, who waits, and who is told to come back.

A request weighs as many sequences as it can run at once. Requests start strictly in the order in
which they came: a heavy one at the head is never overtaken by light ones behind it. `Line`
decides and has neither clock nor event loop; `AdmissionGate` lets coroutines wait for its
decisions and measures how long a place is kept, for an honest Retry-After.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from serving.errors import QueueFull

EWMA_SHARE = 0.2  # how much the newest measurement counts
LONGEST_RETRY_S = 600


@dataclass(eq=False, slots=True)
class Place:
    """One request's place in the line."""

    weight: int  # sequences
    arrived_s: float = 0.0
    started_s: float | None = None
    turn: asyncio.Future[None] | None = field(default=None, repr=False)

    @property
    def waited_s(self) -> float:
        """How long it waited for its turn; 0 before that."""
        return 0.0 if self.started_s is None else self.started_s - self.arrived_s


class Line:
    """Places that run and places that wait; at most `max_num_seqs` of weight run."""

    def __init__(self, max_num_seqs: int, max_queued: int) -> None:
        self._max_num_seqs = max_num_seqs
        self._max_queued = max_queued
        # Dictionaries as ordered sets: the order of arrival, and removal from the middle.
        self.running: dict[Place, None] = {}
        self.waiting: dict[Place, None] = {}
        self.num_seqs = 0

    def arrive(self, place: Place) -> bool:
        """Let `place` run or wait; False: the queue is full and nothing has changed."""
        if not self.waiting and self._fits(place):
            self._start(place)
            return True
        if len(self.waiting) >= self._max_queued:
            return False
        self.waiting[place] = None
        return True

    def leave(self, place: Place) -> list[Place]:
        """Forget `place`, wherever it is, and return those whose turn has come."""
        if place in self.running:
            del self.running[place]
            self.num_seqs -= place.weight
        self.waiting.pop(place, None)
        return self._advance()

    def _advance(self) -> list[Place]:
        started = []
        while self.waiting and self._fits(head := next(iter(self.waiting))):
            del self.waiting[head]
            self._start(head)
            started.append(head)
        return started

    def _fits(self, place: Place) -> bool:
        return self.num_seqs + place.weight <= self._max_num_seqs

    def _start(self, place: Place) -> None:
        self.running[place] = None
        self.num_seqs += place.weight


class AdmissionGate:
    """The line, for coroutines of one event loop."""

    def __init__(
        self, max_num_seqs: int, max_queued: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_num_seqs = max_num_seqs
        self._line = Line(max_num_seqs, max_queued)
        self._clock = clock
        self._mean_stay_s: float | None = None

    @property
    def num_running(self) -> int:
        """Requests that run."""
        return len(self._line.running)

    @property
    def num_waiting(self) -> int:
        """Requests that wait for their turn."""
        return len(self._line.waiting)

    @asynccontextmanager
    async def admit(self, num_sequences: int) -> AsyncIterator[Place]:
        """Wait for this request's turn; its place is free again when the block ends.

        `leave` gives the place up earlier. Cancelling is safe at any time. Raises QueueFull.
        """
        place = Place(min(num_sequences, self._max_num_seqs), arrived_s=self._clock())
        if not self._line.arrive(place):
            raise self._full()
        try:
            if place in self._line.waiting:
                place.turn = asyncio.get_running_loop().create_future()
                await place.turn
            else:
                place.started_s = place.arrived_s
            yield place
        finally:
            self.leave(place)

    def leave(self, place: Place) -> None:
        """Give the place up and let the next ones run; safe to call twice."""
        if place in self._line.running:
            self._measure(place)
        for started in self._line.leave(place):
            started.started_s = self._clock()
            # A waiter that was cancelled this very moment leaves by itself, in its `finally`.
            if started.turn is not None and not started.turn.done():
                started.turn.set_result(None)

    def _measure(self, place: Place) -> None:
        if place.started_s is None:  # cancelled between its turn and its waking up
            return
        stay_s = self._clock() - place.started_s
        if self._mean_stay_s is None:
            self._mean_stay_s = stay_s
        self._mean_stay_s += EWMA_SHARE * (stay_s - self._mean_stay_s)

    def _full(self) -> QueueFull:
        wait_s = self.retry_after_s()
        return QueueFull(
            f"The queue is full: {self.num_running} requests run and {self.num_waiting} wait. "
            f"Try again in {wait_s} s.",
            retry_after_s=wait_s,
        )

    def retry_after_s(self) -> int:
        """How long until those ahead have been served, at the rate at which requests complete.

        The rate is that of Little's law, requests running / mean stay, which idle times do not
        distort. Before the first measurement the oldest running request's age stands in.
        """
        stay_s = self._mean_stay_s
        if stay_s is None:
            starts = [
                place.started_s for place in self._line.running if place.started_s is not None
            ]
            stay_s = self._clock() - min(starts, default=self._clock())
        ahead = self.num_waiting + 1
        wait_s = math.ceil(ahead * stay_s / max(1, self.num_running))
        return max(1, min(wait_s, LONGEST_RETRY_S))
