"""serving.gpu.start_turn: replicas of one GPU start one after another, others do not wait."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from serving.gpu.placement import Wanted
from serving.gpu.start_turn import lock_file, start_turn
from serving.gpu.visible_gpus import VARIABLES, visible_gpus

SHARED = Wanted(replicas_per_gpu=2)


@pytest.fixture(autouse=True)
def a_gpu_of_our_own(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "3")


def test_those_who_share_take_turns():
    async def test() -> None:
        order = []

        async def start(name: str) -> None:
            async with start_turn(SHARED):
                order.append(f"{name} begins")
                await asyncio.sleep(0.3)
                order.append(f"{name} ends")

        await asyncio.gather(start("one"), start("two"))
        assert [each.partition(" ")[2] for each in order] == ["begins", "ends"] * 2

    asyncio.run(test())


@pytest.mark.parametrize("wanted", [None, Wanted(), Wanted(gpu_count=2)])
def test_those_who_are_alone_do_not_wait(wanted):
    async def test() -> None:
        async with start_turn(SHARED), asyncio.timeout(1), start_turn(wanted):
            pass

    asyncio.run(test())


def test_another_gpu_is_another_turn(monkeypatch):
    async def test() -> None:
        async with start_turn(SHARED):
            monkeypatch.setenv("HIP_VISIBLE_DEVICES", "GPU-4,5")
            async with asyncio.timeout(1), start_turn(SHARED):
                assert visible_gpus() == "GPU-4-5"

    asyncio.run(test())


def test_the_turn_of_one_who_dies_is_over():
    code = (
        "import fcntl, sys\n"
        f"file = open({str(lock_file(visible_gpus()))!r}, 'w')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('mine', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"mine\n"

        async def test() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5), start_turn(SHARED):
                    pass
            other.kill()
            async with asyncio.timeout(10), start_turn(SHARED):
                pass

        asyncio.run(test())
