"""serving.cpu.pinning: what an engine starts, however it does, stays on its CPUs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import pytest

from serving.cpu import pinning
from serving.cpu.pinning import engine_on, may_pin

ALL = os.sched_getaffinity(0)
ONE = {max(ALL)}


def where() -> set[int]:
    return os.sched_getaffinity(0)


def in_thread() -> set[int]:
    found: list[set[int]] = []
    thread = threading.Thread(target=lambda: found.append(where()))
    thread.start()
    thread.join()
    return found[0]


def in_process() -> set[int]:
    say = "import os; print(*os.sched_getaffinity(0))"
    return set(map(int, subprocess.check_output([sys.executable, "-c", say]).split()))


def test_all_that_is_started_meanwhile_stays_there():
    async def load() -> None:
        await asyncio.to_thread(where)  # leaves a thread that waits for work
        with engine_on(ONE):
            assert await asyncio.to_thread(where) == ONE
            assert await asyncio.to_thread(in_thread) == ONE
            assert in_thread() == in_process() == ONE
        assert where() == in_thread() == ALL
        many = await asyncio.gather(*(asyncio.to_thread(in_thread) for _ in range(4)))
        assert many == [ONE] * 4

    asyncio.run(load())


def test_a_thread_that_was_started_stays_when_the_loop_has_left():
    go_on, found = threading.Event(), []

    async def load() -> None:
        with engine_on(ONE):
            steps = threading.Thread(target=lambda: (go_on.wait(), found.append(where())))
            steps.start()
        go_on.set()
        steps.join()

    asyncio.run(load())
    assert found == [ONE]


def test_the_loop_goes_where_it_is_told():
    async def load() -> set[int]:
        before = where()
        try:
            with engine_on(ALL, then_on=ONE):
                pass
            return where()
        finally:
            os.sched_setaffinity(0, before)

    assert asyncio.run(load()) == ONE


def test_the_loop_is_back_when_loading_fails():
    async def load() -> None:
        with engine_on(ONE):
            raise RuntimeError("no such model")

    with pytest.raises(RuntimeError):
        asyncio.run(load())
    assert where() == ALL


def test_a_system_that_forbids_it(monkeypatch):
    assert may_pin()

    def forbidden(*_):
        raise PermissionError

    monkeypatch.setattr(pinning.os, "sched_setaffinity", forbidden)
    assert not may_pin()
    monkeypatch.delattr(pinning.os, "sched_setaffinity")
    assert not may_pin()
