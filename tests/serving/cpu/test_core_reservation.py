"""serving.cpu.core_reservation: processes agree, and the dead hold nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from functools import partial
from pathlib import Path

import pytest

from serving.cpu.core_choice import choose_cpus
from serving.cpu.core_reservation import Reservation, reserve
from serving.cpu.topology import Cpu

ROOT = Path(__file__).parents[3]
CPUS = tuple(Cpu(number, number) for number in range(8))
OTHER = """
import asyncio, json, sys, time
from functools import partial
from serving.cpu.core_choice import choose_cpus
from serving.cpu.core_reservation import reserve
from serving.cpu.topology import Cpu
name, num = sys.argv[1], int(sys.argv[2])
cpus = [Cpu(number, number) for number in range(8)]
held = asyncio.run(reserve(range(8), partial(choose_cpus, cpus, num=num), name=name))
print(json.dumps(held and [cpu.number for cpu in held.place.cpus]), flush=True)
time.sleep(60)
"""


@pytest.fixture
def name() -> str:
    """Of this test alone, whoever else runs on the machine."""
    return f"anynode-test-{uuid.uuid4()}"


def take(name: str, num: int, patience_s: float = 0.0) -> Reservation | None:
    choose = partial(choose_cpus, CPUS, num=num)
    numbers = [cpu.number for cpu in CPUS]
    return asyncio.run(reserve(numbers, choose, name=name, patience_s=patience_s))


def held(reservation: Reservation | None) -> list[int]:
    assert reservation is not None
    return [cpu.number for cpu in reservation.place.cpus]


def other(name: str, num: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OTHER, name, str(num)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def said(process: subprocess.Popen[str]) -> list[int] | None:
    assert process.stdout is not None
    answer: list[int] | None = json.loads(process.stdout.readline())
    return answer


def end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def test_nobody_gets_what_another_has(name):
    first, second = take(name, 3), take(name, 5)
    assert held(first) == [0, 1, 2]
    assert held(second) == [3, 4, 5, 6, 7]
    assert take(name, 1) is None


def test_what_is_released_can_be_taken(name):
    first = take(name, 8)
    assert take(name, 2) is None
    first.release()
    first.release()
    assert held(take(name, 2)) == [0, 1]


def test_a_try_that_fails_holds_nothing(name):
    first = take(name, 5)
    assert take(name, 4) is None
    assert held(take(name, 3)) == [5, 6, 7]
    assert held(first) == [0, 1, 2, 3, 4]


def test_it_waits_a_moment_for_one_that_ends(name):
    process = other(name, 8)
    assert said(process) == list(range(8))
    began_s = time.monotonic()
    os.kill(process.pid, signal.SIGSTOP)  # a process that hangs still has what it holds
    assert take(name, 1, patience_s=0.2) is None
    assert time.monotonic() - began_s >= 0.2
    end(process)
    assert len(held(take(name, 8, patience_s=5))) == 8


def test_processes_that_start_together_never_share(name):
    processes = [other(name, 2) for _ in range(5)]
    answers = [said(process) for process in processes]
    end(*processes)
    taken = [cpu for answer in answers if answer for cpu in answer]
    assert sorted(taken) == list(range(8))
    assert answers.count(None) == 1


def test_a_killed_process_gives_everything_back(name):
    process = other(name, 6)
    assert len(said(process) or []) == 6
    assert take(name, 3) is None
    end(process)
    assert len(held(take(name, 8, patience_s=5))) == 8
