"""Loops against a sender that takes known times: who is asked when, and when it ends."""

from __future__ import annotations

import asyncio
import time

from inference.bench.client.loops import Asking, End, closed_loop, open_loop
from inference.bench.record import Prompt, RequestRecord
from tests.inference.bench.client.asking import Numbered

SERVICE_S = 0.02


class Fake:
    """Takes a fixed time for each request and remembers how many ran at once."""

    def __init__(self, service_s: float = SERVICE_S) -> None:
        self.service_s = service_s
        self.running = self.most = 0

    async def send(self, number: int, prompt: Prompt, scheduled_s: float) -> RequestRecord:
        self.running += 1
        self.most = max(self.most, self.running)
        sent_s = time.perf_counter()
        await asyncio.sleep(self.service_s)
        self.running -= 1
        return RequestRecord(number, 0, scheduled_s, sent_s, time.perf_counter())


def test_a_closed_loop_keeps_its_clients_busy_and_asks_everything_once():
    fake = Fake()

    async def scenario():
        return await closed_loop(Asking(fake.send, Numbered(), End()), range(20), 4)

    records = asyncio.run(scenario())
    assert sorted(record.number for record in records) == list(range(20))
    assert fake.most == 4


def test_a_closed_loop_ends_with_its_time_and_its_last_answers():
    fake = Fake()

    async def scenario():
        end = End()
        end.after(5 * SERVICE_S, time.perf_counter())
        endless = iter(int, 1)
        return await closed_loop(Asking(fake.send, Numbered(), end), endless, 2)

    records = asyncio.run(scenario())
    assert 2 <= len(records) <= 12
    assert fake.running == 0


def test_an_open_loop_asks_whether_or_not_others_are_answered():
    fake = Fake(service_s=0.5)

    async def scenario():
        began_s = time.perf_counter()
        due = [(number, began_s + number * 0.001) for number in range(50)]
        return await open_loop(Asking(fake.send, Numbered(), End()), iter(due), None)

    records = asyncio.run(scenario())
    assert fake.most == 50
    assert all(record.sent_s >= record.scheduled_s - 0.001 for record in records)


def test_what_must_wait_for_a_place_keeps_the_time_it_was_due():
    fake = Fake(service_s=0.05)

    async def scenario():
        now_s = time.perf_counter()
        due = [(number, now_s) for number in range(6)]
        return await open_loop(Asking(fake.send, Numbered(), End()), iter(due), 2)

    records = asyncio.run(scenario())
    assert fake.most == 2
    assert len({record.scheduled_s for record in records}) == 1
    # The last pair waited for two others: the wait is in its latency.
    assert max(record.e2el_s for record in records) >= 3 * fake.service_s * 0.9


def test_told_to_stop_an_open_loop_sends_nothing_more():
    fake = Fake()

    async def scenario():
        end = End()
        far = [(number, time.perf_counter() + number) for number in range(60)]
        asyncio.get_running_loop().call_later(0.05, end.tell)
        return await open_loop(Asking(fake.send, Numbered(), end), iter(far), None)

    assert len(asyncio.run(scenario())) == 1
