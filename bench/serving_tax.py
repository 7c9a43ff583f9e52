"""What serving costs: the same requests to the engine itself and through ever more of the house.

Four arms: the engine in a process of its own with clients inside it; the replica's own HTTP port;
the same replica through HAProxy; another replica through Ray Serve's Python proxy. The HTTP arms'
clients run in this process, so they share the machine with what they measure.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.load import closed_loop, http_answers
from bench.results import RequestTiming, Run
from bench.servers import serving
from bench.workload import Job, fixed_jobs

BATCH_SIZE = 32
PROMPT_TOKENS = 32
ANSWER_TOKENS = 128
VOCAB_SIZE = 30_000
CONCURRENCY = (1, 8, 32)
REQUESTS = {1: 6, 8: 24, 32: 64}  # of one round
ENGINE, REPLICA, HAPROXY, PYTHON = "engine alone", "replica's port", "HAProxy", "Python proxy"

RunArm = Callable[[int], Awaitable[Run]]


@dataclass(frozen=True, slots=True)
class Cell:
    """One arm at one concurrency."""

    arm: str
    concurrency: int


async def measure(model: Path, *, rounds: int, num_threads: int) -> dict[Cell, list[Run]]:
    """Each cell's runs, one for each round after a warm-up; the arms take turns."""
    runs: dict[Cell, list[Run]] = {}
    async with AsyncExitStack() as stack:
        options = {"batch_size": BATCH_SIZE, "num_threads": num_threads}
        fast = stack.enter_context(serving(model, proxy="haproxy", **options))
        slow = stack.enter_context(serving(model, proxy="python", **options))
        worker = await EngineProcess.start(model, num_threads)
        stack.push_async_callback(worker.stop)
        arms: dict[str, RunArm] = {
            ENGINE: worker.run,
            REPLICA: _through(fast.replica_port()),
            HAPROXY: _through(fast.port),
            PYTHON: _through(slow.port),
        }
        for number in range(-1, rounds):
            for concurrency in CONCURRENCY:
                for name, run_arm in arms.items():
                    print(f"  round {number + 1}/{rounds}: {name}, {concurrency}", file=sys.stderr)
                    run = await run_arm(concurrency)
                    if number >= 0:
                        runs.setdefault(Cell(name, concurrency), []).append(run)
    return runs


def _through(port: int) -> RunArm:
    answer = http_answers("127.0.0.1", port, "/v1/completions", "bench")

    async def run(concurrency: int) -> Run:
        return await closed_loop(answer, jobs(concurrency), concurrency)

    return run


def jobs(concurrency: int) -> list[Job]:
    """The requests of one round."""
    return fixed_jobs(REQUESTS[concurrency], PROMPT_TOKENS, ANSWER_TOKENS, VOCAB_SIZE)


class EngineProcess:
    """The engine and its clients in one process, without any HTTP (bench/engine_worker.py)."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, model: Path, num_threads: int) -> EngineProcess:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.engine_worker", str(model), str(num_threads)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 24,
        )
        worker = cls(process)
        await worker._line()
        return worker

    async def run(self, concurrency: int) -> Run:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{concurrency}\n".encode())
        return load_run(await self._line())

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the engine's process ended early")
        return line

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


def dump_run(run: Run) -> str:
    """A run as one line of JSON."""
    return json.dumps({"wall_s": run.wall_s, "timings": [asdict(each) for each in run.timings]})


def load_run(line: bytes) -> Run:
    """The inverse of `dump_run`."""
    fields = json.loads(line)
    timings = tuple(RequestTiming(**timing) for timing in fields["timings"])
    return Run(timings, fields["wall_s"])
