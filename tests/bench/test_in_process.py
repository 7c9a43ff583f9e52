"""Engines asked without HTTP give the same kind of records as servers do."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bench import in_process
from bench.static_batches import StaticBatches, short_p95_s, tokens_per_s
from inference.bench.plan import Load, RunPlan, Target
from inference.bench.record import Prompt
from serving.engines.echo import EchoEngine
from serving.types import EngineSettings

TOKENS_PER_S = 500


class Growing:
    """Prompts whose answers grow with their number."""

    def prompt(self, number: int) -> Prompt:
        return Prompt(token_ids=tuple(range(65, 85)), max_tokens=10 + number)


PLAN = RunPlan("run", Target(()), Growing(), Load(concurrency=4, num_requests=12))


def test_the_engine_itself_is_asked():
    async def scenario():
        kwargs = {"tokens_per_s": TOKENS_PER_S}
        engine = EchoEngine(EngineSettings(Path(), max_num_seqs=4, engine_kwargs=kwargs))
        await engine.load()
        report = await in_process.run(in_process.engine_send(engine), PLAN)
        await engine.unload()
        return report

    report = asyncio.run(scenario())
    assert report.requests.succeeded == 12
    assert (report.tokens.prompt, report.tokens.output) == (12 * 20, sum(range(10, 22)))
    assert report.ttft_ms is not None
    assert report.e2el_ms is not None
    assert report.e2el_ms.min >= 9 / TOKENS_PER_S * 1000


def test_a_static_batch_ends_with_its_longest_answer():
    batches = []

    async def scenario():
        async def run_batch(batch):
            batches.append(len(batch))
            await asyncio.sleep(max(prompt.max_tokens for prompt in batch) / 1000)

        static = StaticBatches(run_batch, 4)
        records = await in_process.records_of(static.send, PLAN)
        static.close()
        return records

    records = asyncio.run(scenario())
    assert sum(batches) == 12
    assert max(batches) == 4
    assert sum(record.output_tokens for record in records) == sum(range(10, 22))
    assert tokens_per_s(records) > 0
    assert short_p95_s(records) >= 0.010
