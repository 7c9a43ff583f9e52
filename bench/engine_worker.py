"""The engine alone: reads a concurrency from each line of standard input, answers with a run."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bench.load import closed_loop, engine_answers
from bench.serving_tax import BATCH_SIZE, dump_run, jobs
from serving.engines.onnx import OnnxEngine
from serving.types import EngineSettings


async def main(model: Path, num_threads: int) -> None:
    engine = OnnxEngine(EngineSettings(model, max_num_seqs=BATCH_SIZE, num_threads=num_threads))
    await engine.load()
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        concurrency = int(line)
        run = await closed_loop(engine_answers(engine), jobs(concurrency), concurrency)
        print(dump_run(run), flush=True)
    await engine.unload()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
