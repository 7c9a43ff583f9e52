"""Threads and the event loop around the queue: vectors arrive, callers leave, models fail."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from serving.embedding_queue import BatchLimits
from serving.embedding_thread import EmbeddingThread
from serving.errors import EngineDead

LIMITS = BatchLimits(max_texts=4, max_tokens=1000)


class Model:
    """A text's vector is its first and last id; waits where it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, ...]]] = []
        self.may_run = threading.Event()
        self.may_run.set()
        self.began = threading.Event()
        self.fails = False

    def __call__(self, texts):
        self.batches.append([tuple(text) for text in texts])
        self.began.set()
        assert self.may_run.wait(10)
        if self.fails:
            raise RuntimeError("out of luck")
        return np.array([[text[0], text[-1]] for text in texts], np.float32)


def run(scenario):
    async def whole():
        model = Model()
        thread = EmbeddingThread(model, LIMITS)
        try:
            await scenario(model, thread)
        finally:
            model.may_run.set()
            await thread.stop()

    asyncio.run(whole())


async def begun(model):
    """When the model holds a batch."""
    await asyncio.to_thread(model.began.wait, 10)
    model.began.clear()


async def held(model, thread):
    """A request whose batch the model holds until it is let go."""
    model.began.clear()
    model.may_run.clear()
    first = asyncio.create_task(thread.embed([(0, 0)]))
    await begun(model)
    return first


def test_vectors_come_in_the_order_of_the_texts():
    async def scenario(model, thread):
        texts = [(n, *[0] * n, n) for n in range(20)]
        vectors, queue_s = await thread.embed(texts)
        np.testing.assert_array_equal(vectors[:, 0], np.arange(20))
        assert 0 <= queue_s < 10
        assert all(len(batch) <= 4 for batch in model.batches)

    run(scenario)


def test_requests_share_a_batch():
    async def scenario(model, thread):
        first = await held(model, thread)
        others = [asyncio.create_task(thread.embed([(n, n)])) for n in (1, 2, 3)]
        await asyncio.sleep(0)
        assert (thread.occupancy().num_running, thread.occupancy().num_waiting) == (1, 3)
        model.may_run.set()
        results = await asyncio.gather(first, *others)
        assert [vectors.tolist() for vectors, _ in results] == [[[n, n]] for n in range(4)]
        assert model.batches == [[(0, 0)], [(1, 1), (2, 2), (3, 3)]]

    run(scenario)


def test_a_request_of_many_texts_lets_another_through():
    async def scenario(model, thread):
        first = await held(model, thread)
        large = asyncio.create_task(thread.embed([(1,) * 50] * 400))
        await asyncio.sleep(0)
        small = asyncio.create_task(thread.embed([(2, 2)]))
        await asyncio.sleep(0)
        model.may_run.set()
        await asyncio.gather(first, small)
        assert [(2, 2)] in model.batches[:3]
        await large

    run(scenario)


def test_who_leaves_is_not_embedded():
    async def scenario(model, thread):
        first = await held(model, thread)
        leaver = asyncio.create_task(thread.embed([(1, 1)] * 100))
        stayer = asyncio.create_task(thread.embed([(2, 2)]))
        await asyncio.sleep(0)
        leaver.cancel()
        await asyncio.wait([leaver])
        assert thread.occupancy().num_waiting == 1
        model.may_run.set()
        await asyncio.gather(first, stayer)
        assert model.batches == [[(0, 0)], [(2, 2)]]

    run(scenario)


def test_who_leaves_in_the_midst_of_it_harms_nobody():
    async def scenario(model, thread):
        leaver = await held(model, thread)
        leaver.cancel()
        await asyncio.wait([leaver])
        model.may_run.set()
        vectors, _ = await thread.embed([(3, 4)])
        assert vectors.tolist() == [[3, 4]]

    run(scenario)


def test_a_failing_model_ends_every_request_and_all_later_ones():
    async def scenario(model, thread):
        first = await held(model, thread)
        second = asyncio.create_task(thread.embed([(1,) * 500]))
        await asyncio.sleep(0)
        model.fails = True
        model.may_run.set()
        for result in await asyncio.gather(first, second, return_exceptions=True):
            assert isinstance(result, EngineDead)
            assert "out of luck" in result.message
        with pytest.raises(EngineDead, match="out of luck"):
            thread.check()
        with pytest.raises(EngineDead):
            await thread.embed([(1, 1)])

    run(scenario)


def test_stopping_ends_what_waits_and_refuses_what_comes():
    async def scenario(model, thread):
        first = await held(model, thread)
        second = asyncio.create_task(thread.embed([(1,) * 500]))
        await asyncio.sleep(0)
        stopping = asyncio.create_task(thread.stop())
        await asyncio.sleep(0)
        model.may_run.set()
        await stopping
        vectors, _ = await first
        assert vectors.tolist() == [[0, 0]]
        with pytest.raises(EngineDead, match="unloaded"):
            await second
        with pytest.raises(EngineDead, match="unloaded"):
            await thread.embed([(1, 1)])

    run(scenario)
