"""The benchmark tool's own loop and summary around whatever can answer, without HTTP between."""

from __future__ import annotations

import time
from contextlib import aclosing
from datetime import UTC, datetime

from inference.bench.client.loops import Asking, End, closed_loop
from inference.bench.plan import RunPlan
from inference.bench.record import Prompt, RequestRecord, Send
from inference.bench.report.model import RunReport
from inference.bench.summary import RunFacts, Yardsticks, summarise
from serving.engine import Engine
from serving.types import GenerateRequest, SamplingParams


def engine_send(engine: Engine) -> Send:
    """Asks the engine in this process, greedily and for as many tokens as the prompt says."""

    async def send(number: int, prompt: Prompt, scheduled_s: float) -> RequestRecord:
        params = SamplingParams(max_tokens=prompt.max_tokens, temperature=0.0, ignore_eos=True)
        request = GenerateRequest(f"bench-{number}", prompt.token_ids, params)
        sent_s, times_s, num_tokens = time.perf_counter(), [], 0
        async with aclosing(engine.generate(request)) as chunks:
            async for chunk in chunks:
                times_s.append(time.perf_counter())
                num_tokens += chunk.num_tokens
        return RequestRecord(
            number=number,
            endpoint=0,
            scheduled_s=scheduled_s,
            sent_s=sent_s,
            ended_s=times_s[-1],
            event_times_s=tuple(times_s),
            prompt_tokens=len(prompt.token_ids),
            output_tokens=num_tokens,
        )

    return send


async def records_of(send: Send, plan: RunPlan) -> list[RequestRecord]:
    """What comes of a plan's closed loop against `send` instead of its target."""
    load = plan.load
    assert load.arrivals is None and load.concurrency and load.num_requests
    asking = Asking(send, plan.prompts, End())
    return await closed_loop(asking, range(load.num_requests), load.concurrency)


async def run(send: Send, plan: RunPlan) -> RunReport:
    """The same as a run's report."""
    started_at, began_s = datetime.now(UTC), time.perf_counter()
    records = await records_of(send, plan)
    facts = RunFacts(plan.name, plan.load.report(), started_at, began_s, plan.arm, plan.round)
    return summarise(facts, records, Yardsticks())
