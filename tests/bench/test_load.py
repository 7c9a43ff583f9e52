"""The closed loop asks for every job once, counts tokens as the server does, and times them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench.load import closed_loop, engine_answers, http_answers
from bench.static_batches import StaticBatches
from bench.workload import Job, fixed_jobs, mixed_jobs
from serving.engines.echo import EchoEngine
from serving.types import EngineSettings
from tests.serving.http.live import MODEL, live

JOBS = [Job(tuple(range(65, 85)), 10 + number) for number in range(12)]
TOKENS_PER_S = 500


def echo():
    kwargs = {"tokens_per_s": TOKENS_PER_S}
    return EchoEngine(EngineSettings(Path(), max_num_seqs=4, engine_kwargs=kwargs))


def check(run):
    assert sorted(timing.num_tokens for timing in run.timings) == [job.max_tokens for job in JOBS]
    for timing in run.timings:
        assert 0 < timing.ttft_s <= timing.e2e_s
        assert timing.e2e_s >= (timing.num_tokens - 1) / TOKENS_PER_S
    assert run.wall_s >= max(timing.e2e_s for timing in run.timings)


def test_the_engine_itself_is_asked():
    async def scenario():
        engine = echo()
        await engine.load()
        check(await closed_loop(engine_answers(engine), JOBS, 4))
        await engine.unload()

    asyncio.run(scenario())


def test_a_server_is_asked_over_sockets():
    with live(echo(), max_num_seqs=4) as server:
        answer = http_answers("127.0.0.1", server.port, "/v1/completions", MODEL)
        check(asyncio.run(closed_loop(answer, JOBS, 4)))


def test_a_refused_request_stops_the_benchmark():
    with live(echo()) as server:
        answer = http_answers("127.0.0.1", server.port, "/v1/completions", "another model")
        with pytest.raises(RuntimeError, match="model_not_found"):
            asyncio.run(closed_loop(answer, JOBS, 1))


def test_a_static_batch_ends_with_its_longest_answer():
    async def scenario():
        batches = []

        async def run_batch(jobs):
            batches.append(len(jobs))
            await asyncio.sleep(max(job.max_tokens for job in jobs) / 1000)

        static = StaticBatches(run_batch, batch_size=4)
        run = await closed_loop(static.answer, JOBS, 4)
        static.close()
        assert sum(batches) == len(JOBS)
        assert max(batches) <= 4
        assert len({round(timing.e2e_s, 1) for timing in run.timings}) < len(JOBS)

    asyncio.run(scenario())


def test_workloads_are_the_same_every_time():
    assert mixed_jobs(5, 8, (1, 9), 100) == mixed_jobs(5, 8, (1, 9), 100)
    assert {job.max_tokens for job in fixed_jobs(3, 8, 7, 100)} == {7}
    assert all(len(job.prompt) == 8 for job in fixed_jobs(3, 8, 7, 100))
