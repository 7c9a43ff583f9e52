"""Continuous batching against the way of the systems before it: static batches.

There, requests are gathered into a batch, the batch runs until its longest answer is done, and
only then does anybody get an answer or a new request a place. Two such arms: over our own decoder,
which isolates the scheduling, and through transformers' `generate`, which is what those systems
ran (they wait the same way; their kernels differ too).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from bench.load import Answer, closed_loop, engine_answers
from bench.results import RequestTiming, Run, percentile
from bench.workload import Job, mixed_jobs
from serving.engines.onnx import GRAPH_FOLDER, OnnxEngine
from serving.engines.onnx_decoder import OnnxDecoder
from serving.types import EngineSettings

CLIENTS = 32
PROMPT_TOKENS = 32
ANSWER_TOKENS = (16, 256)
SHORT_TOKENS = 64  # answers up to this long are the short ones
GATHER_S = 0.1  # how long a static batch waits for company

RunBatch = Callable[[list[Job]], Awaitable[None]]


class StaticBatches:
    """Gathers requests and answers all of a batch when its longest answer is done."""

    def __init__(self, run_batch: RunBatch, batch_size: int) -> None:
        self._run_batch = run_batch
        self._batch_size = batch_size
        self._queue: asyncio.Queue[tuple[Job, asyncio.Future[None]]] = asyncio.Queue()
        self._task = asyncio.create_task(self._serve())

    async def answer(self, job: Job) -> RequestTiming:
        began_s = time.perf_counter()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._queue.put((job, done))
        await done
        took_s = time.perf_counter() - began_s
        return RequestTiming(took_s, took_s, job.max_tokens)

    async def _serve(self) -> None:
        while True:
            batch = [await self._queue.get()]
            deadline_s = time.perf_counter() + GATHER_S
            while len(batch) < self._batch_size and time.perf_counter() < deadline_s:
                try:
                    batch.append(self._queue.get_nowait())
                except asyncio.QueueEmpty:
                    await asyncio.sleep(0.001)
            await self._run_batch([job for job, _ in batch])
            for _, done in batch:
                done.set_result(None)

    def close(self) -> None:
        self._task.cancel()


def decoder_batches(decoder: OnnxDecoder) -> RunBatch:
    """A whole batch on our own decoder, greedy, every row to the longest answer's end."""

    def run(jobs: list[Job]) -> None:
        prompts = [np.array(job.prompt, np.int64) for job in jobs]
        first = [
            int(decoder.prefill(row, prompt, 0, all_logits=False)[-1].argmax())
            for row, prompt in enumerate(prompts)
        ]
        tokens = np.array(first, np.int64)
        lengths = np.array([len(prompt) for prompt in prompts], np.int64)
        for _ in range(max(job.max_tokens for job in jobs) - 1):
            tokens = decoder.decode(tokens, lengths).argmax(axis=1).astype(np.int64)
            lengths += 1

    async def run_batch(jobs: list[Job]) -> None:
        await asyncio.to_thread(run, jobs)

    return run_batch


class GenerateProcess:
    """transformers' `generate` in the conversion environment, where torch is."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, python: Path, model: Path) -> GenerateProcess:
        process = await asyncio.create_subprocess_exec(
            python,
            Path(__file__).with_name("generate_worker.py"),
            model,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        worker = cls(process)
        await worker._line()
        return worker

    async def run_batch(self, jobs: list[Job]) -> None:
        assert self._process.stdin is not None
        order = {
            "prompts": [job.prompt for job in jobs],
            "max_new_tokens": max(job.max_tokens for job in jobs),
        }
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._line()

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the generate worker ended early")
        return line

    async def stop(self) -> None:
        self._process.terminate()
        await self._process.wait()


async def measure(
    model: Path, *, rounds: int, num_threads: int, torch_python: Path | None
) -> dict[str, list[Run]]:
    """Each arm's runs, one for each round; the arms take turns."""
    jobs = mixed_jobs(3 * CLIENTS, PROMPT_TOKENS, ANSWER_TOKENS, vocab_size=30_000)
    max_len = PROMPT_TOKENS + ANSWER_TOKENS[1]
    engine = OnnxEngine(
        EngineSettings(model, max_num_seqs=CLIENTS, max_model_len=max_len, num_threads=num_threads)
    )
    await engine.load()
    decoder = OnnxDecoder(
        model / GRAPH_FOLDER, num_rows=CLIENTS, max_model_len=max_len, num_threads=num_threads
    )
    arms: dict[str, Answer] = {"continuous": engine_answers(engine)}
    static = StaticBatches(decoder_batches(decoder), CLIENTS)
    arms["static, same decoder"] = static.answer
    worker = generate = None
    if torch_python is not None:
        worker = await GenerateProcess.start(torch_python, model)
        generate = StaticBatches(worker.run_batch, CLIENTS)
        arms["static, transformers generate"] = generate.answer
    runs: dict[str, list[Run]] = {name: [] for name in arms}
    for number in range(rounds):
        for name, answer in arms.items():
            print(f"  round {number + 1}/{rounds}: {name}", file=sys.stderr)
            runs[name].append(await closed_loop(answer, jobs, CLIENTS))
    for batches in (static, generate):
        if batches is not None:
            batches.close()
    if worker is not None:
        await worker.stop()
    await engine.unload()
    decoder.close()
    return runs


def short_p95_s(run: Run) -> float:
    """The 95th percentile latency of the requests with short answers."""
    return percentile(
        [timing.e2e_s for timing in run.timings if timing.num_tokens <= SHORT_TOKENS], 95
    )
