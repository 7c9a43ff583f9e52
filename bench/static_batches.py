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
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import numpy as np

from bench import in_process
from inference.bench.plan import Load, RunPlan, Target
from inference.bench.prompts.lengths import parse_length
from inference.bench.prompts.synthetic import SyntheticPrompts
from inference.bench.prompts.tokenizer import BenchTokenizer
from inference.bench.record import Prompt, RequestRecord, Send
from serving.conversion.manifest import converted_folder
from serving.engines.onnx import OnnxEngine
from serving.engines.onnx_decoder import OnnxDecoder
from serving.types import EngineSettings

CLIENTS = 32
PROMPT_TOKENS = 32
ANSWER_TOKENS = (16, 256)
SHORT_TOKENS = 64  # answers up to this long are the short ones
CONTINUOUS = "continuous"
GATHER_S = 0.1  # how long a static batch waits for company

RunBatch = Callable[[list[Prompt]], Awaitable[None]]


class StaticBatches:
    """Gathers requests and answers all of a batch when its longest answer is done."""

    def __init__(self, run_batch: RunBatch, batch_size: int) -> None:
        self._run_batch = run_batch
        self._batch_size = batch_size
        self._queue: asyncio.Queue[tuple[Prompt, asyncio.Future[None]]] = asyncio.Queue()
        self._task = asyncio.create_task(self._serve())

    async def send(self, number: int, prompt: Prompt, scheduled_s: float) -> RequestRecord:
        """Keeps the promise of `record.Send`; nothing is streamed."""
        sent_s = time.perf_counter()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._queue.put((prompt, done))
        await done
        return RequestRecord(
            number=number,
            endpoint=0,
            scheduled_s=scheduled_s,
            sent_s=sent_s,
            ended_s=time.perf_counter(),
            prompt_tokens=len(prompt.token_ids),
            output_tokens=prompt.max_tokens or 0,
        )

    async def _serve(self) -> None:
        while True:
            batch = [await self._queue.get()]
            deadline_s = time.perf_counter() + GATHER_S
            while len(batch) < self._batch_size and time.perf_counter() < deadline_s:
                try:
                    batch.append(self._queue.get_nowait())
                except asyncio.QueueEmpty:
                    await asyncio.sleep(0.001)
            await self._run_batch([prompt for prompt, _ in batch])
            for _, done in batch:
                done.set_result(None)

    def close(self) -> None:
        self._task.cancel()


def decoder_batches(decoder: OnnxDecoder) -> RunBatch:
    """A whole batch on our own decoder, greedy, every row to the longest answer's end."""

    def run(batch: list[Prompt]) -> None:
        prompts = [np.array(prompt.token_ids, np.int64) for prompt in batch]
        first = [
            int(decoder.prefill(row, prompt, 0, all_logits=False)[-1].argmax())
            for row, prompt in enumerate(prompts)
        ]
        tokens = np.array(first, np.int64)
        lengths = np.array([len(prompt) for prompt in prompts], np.int64)
        for _ in range(longest_answer(batch) - 1):
            tokens = decoder.decode(tokens, lengths).argmax(axis=1).astype(np.int64)
            lengths += 1

    async def run_batch(batch: list[Prompt]) -> None:
        await asyncio.to_thread(run, batch)

    return run_batch


def longest_answer(batch: Sequence[Prompt]) -> int:
    """How long everybody in a static batch waits, in tokens."""
    return max(prompt.max_tokens or 1 for prompt in batch)


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

    async def run_batch(self, batch: list[Prompt]) -> None:
        assert self._process.stdin is not None
        order = {
            "prompts": [prompt.token_ids for prompt in batch],
            "max_new_tokens": longest_answer(batch),
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
    model: Path, *, rounds: int, num_threads: int, torch_python: Path
) -> dict[str, list[list[RequestRecord]]]:
    """Each arm's requests, a list for each round; the arms take turns."""
    max_len = PROMPT_TOKENS + ANSWER_TOKENS[1]
    engine = OnnxEngine(
        EngineSettings(model, max_num_seqs=CLIENTS, max_model_len=max_len, num_threads=num_threads)
    )
    await engine.load()
    decoder = OnnxDecoder(
        converted_folder(model, "onnx"),
        num_rows=CLIENTS,
        max_model_len=max_len,
        num_threads=num_threads,
    )
    worker = await GenerateProcess.start(torch_python, model)
    static = StaticBatches(decoder_batches(decoder), CLIENTS)
    generate = StaticBatches(worker.run_batch, CLIENTS)
    arms: dict[str, Send] = {
        CONTINUOUS: in_process.engine_send(engine),
        "static, same decoder": static.send,
        "static, transformers generate": generate.send,
    }
    plan = mixed_answers(model)
    rounds_of: dict[str, list[list[RequestRecord]]] = {name: [] for name in arms}
    for number in range(rounds):
        for name, send in arms.items():
            print(f"  round {number + 1}/{rounds}: {name}", file=sys.stderr)
            rounds_of[name].append(await in_process.records_of(send, plan))
    static.close()
    generate.close()
    await worker.stop()
    await engine.unload()
    decoder.close()
    return rounds_of


def mixed_answers(model: Path) -> RunPlan:
    """The same prompts and answer lengths for every arm and round."""
    prompts = SyntheticPrompts(
        prompt_tokens=parse_length(str(PROMPT_TOKENS), "PROMPT_TOKENS"),
        output_tokens=parse_length("{}:{}".format(*ANSWER_TOKENS), "ANSWER_TOKENS"),
        route="completions",
        tokenizer=BenchTokenizer(str(model)),
        seed=0,
    )
    load = Load(concurrency=CLIENTS, num_requests=3 * CLIENTS)
    return RunPlan(f"concurrency {CLIENTS}", Target(()), prompts, load)


def tokens_per_s(records: Sequence[RequestRecord]) -> float:
    """From the first request to the last answer."""
    wall_s = max(each.ended_s for each in records) - min(each.scheduled_s for each in records)
    return sum(each.output_tokens for each in records) / wall_s


def short_p95_s(records: Sequence[RequestRecord]) -> float:
    """The 95th percentile latency of the requests with short answers."""
    short = [each.e2el_s for each in records if each.output_tokens <= SHORT_TOKENS]
    return float(np.percentile(short, 95))
