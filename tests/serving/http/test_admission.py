from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from serving.errors import QueueFull
from serving.http.admission import LONGEST_RETRY_S, AdmissionGate, Line, Place

LIMIT = 5
MAX_QUEUED = 4


class LineMachine(RuleBasedStateMachine):
    """Requests come and go in any order; the line must stay fair, full and within its limit."""

    def __init__(self) -> None:
        super().__init__()
        self.line = Line(LIMIT, MAX_QUEUED)
        self.arrived: list[Place] = []  # those still here, in order of arrival

    @rule(weight=st.integers(1, LIMIT))
    def arrive(self, weight):
        place = Place(weight)
        could_run = not self.line.waiting and self.line.num_seqs + weight <= LIMIT
        queue_full = len(self.line.waiting) == MAX_QUEUED
        accepted = self.line.arrive(place)
        assert accepted == (could_run or not queue_full)
        assert (place in self.line.running) == could_run
        if accepted:
            self.arrived.append(place)

    @precondition(lambda self: self.arrived)
    @rule(data=st.data())
    def leave(self, data):
        place = data.draw(st.sampled_from(self.arrived))
        waiting = list(self.line.waiting)
        self.arrived.remove(place)
        started = self.line.leave(place)
        if place in waiting:
            waiting.remove(place)
        assert started == waiting[: len(started)]  # the oldest, in order
        assert self.line.leave(place) == []

    @invariant()
    def within_the_limit(self):
        assert self.line.num_seqs == sum(place.weight for place in self.line.running) <= LIMIT
        assert len(self.line.waiting) <= MAX_QUEUED

    @invariant()
    def nothing_is_lost_and_nobody_overtakes(self):
        here = [*self.line.running, *self.line.waiting]
        assert sorted(map(id, here)) == sorted(map(id, self.arrived))
        waits = [place in self.line.waiting for place in self.arrived]
        assert waits == sorted(waits)  # all that run came before all that wait

    @invariant()
    def no_room_is_wasted(self):
        if self.line.waiting:
            assert self.line.num_seqs + next(iter(self.line.waiting)).weight > LIMIT


TestLine = LineMachine.TestCase
TestLine.settings = settings(deadline=None)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3), st.booleans()), max_size=25))
def test_the_gate_leaves_no_residue(requests):
    """Whatever is cancelled, whenever: never too many run, they start in order, all end."""

    async def main() -> None:
        gate = AdmissionGate(LIMIT, max_queued=100)
        running = 0
        started: list[int] = []

        async def one(number: int, weight: int, ticks: int) -> None:
            nonlocal running
            async with gate.admit(weight):
                started.append(number)
                running += min(weight, LIMIT)
                assert running <= LIMIT
                try:
                    for _ in range(ticks):
                        await asyncio.sleep(0)
                finally:
                    running -= min(weight, LIMIT)

        tasks = [
            asyncio.create_task(one(number, weight, ticks))
            for number, (weight, ticks, _) in enumerate(requests)
        ]
        for task, (_, ticks, cancelled) in zip(tasks, requests, strict=True):
            await asyncio.sleep(0)
            if cancelled and ticks != 1:
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        failures = [r for r in results if r is not None]
        assert all(isinstance(failure, asyncio.CancelledError) for failure in failures)
        assert started == sorted(started)
        assert gate.num_running == gate.num_waiting == 0

    asyncio.run(main())


def test_a_heavy_request_is_not_overtaken():
    async def main() -> list[str]:
        gate = AdmissionGate(4, max_queued=10)
        order: list[str] = []

        async def one(name: str, weight: int) -> None:
            async with gate.admit(weight):
                order.append(name)
                await asyncio.sleep(0.01)

        names = [("a", 3), ("heavy", 4), ("light", 1)]
        await asyncio.gather(*(one(name, weight) for name, weight in names))
        return order

    assert asyncio.run(main()) == ["a", "heavy", "light"]


def test_leaving_early_lets_the_next_one_run():
    async def main() -> None:
        gate = AdmissionGate(1, max_queued=1)
        async with gate.admit(1) as place:
            gate.leave(place)
            async with asyncio.timeout(1), gate.admit(1):
                assert gate.num_running == 1
        assert gate.num_running == 0

    asyncio.run(main())


def test_an_honest_retry_after():
    now = 100.0

    async def main() -> None:
        nonlocal now
        gate = AdmissionGate(2, max_queued=0, clock=lambda: now)

        async def refused() -> int:
            with pytest.raises(QueueFull) as caught:
                async with gate.admit(1):
                    pass
            assert caught.value.headers == {"retry-after": str(caught.value.retry_after_s)}
            return caught.value.retry_after_s

        async with gate.admit(1), gate.admit(1):
            assert await refused() == 1  # nothing is known yet
            now += 30
            assert await refused() == 15  # two have run for 30 s and are not done
        async with gate.admit(2):  # two stays of 30 s were measured; one runs
            assert await refused() == 30
            now += 100_000
        async with gate.admit(2):
            assert await refused() == LONGEST_RETRY_S

    asyncio.run(main())


def test_the_time_waited_is_measured():
    async def main() -> float:
        gate = AdmissionGate(1, max_queued=1)
        waited: list[float] = []

        async def one() -> None:
            async with gate.admit(1) as place:
                waited.append(place.waited_s)
                await asyncio.sleep(0.05)

        await asyncio.gather(one(), one())
        assert waited[0] == 0
        return waited[1]

    assert 0.03 < asyncio.run(main()) < 1
