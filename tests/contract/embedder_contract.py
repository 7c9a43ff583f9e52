"""The promises of `serving.embedder.Embedder`: tests for whoever has a fixture `case`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.embedder import EMBEDDERS, EmbedderSettings, EmbedRequest, embeds
from serving.engine import find_class
from serving.errors import (
    ConfigError,
    ContextTooLong,
    EngineDead,
    InvalidRequest,
    ServingError,
    UnsupportedField,
)

TINY_ENCODER = Path(__file__).parents[1] / "models" / "tiny-encoder"
EXPECTED = {
    text: np.array(vector, np.float32)
    for text, vector in json.loads((TINY_ENCODER / "expected.json").read_text()).items()
}
TEXTS = tuple(EXPECTED)


@dataclass(frozen=True)
class Case:
    """An embedder under contract, with a model it can load."""

    engine: str
    model: Path = TINY_ENCODER
    engine_kwargs: Mapping[str, Any] = field(default_factory=dict)


def create(case, **changes):
    given = {"model_source": case.model, "engine_kwargs": case.engine_kwargs, **changes}
    return find_class(case.engine, EMBEDDERS)(EmbedderSettings(**given))


@asynccontextmanager
async def loaded(case, **changes):
    embedder = create(case, **changes)
    await embedder.load()
    try:
        yield embedder
    finally:
        await embedder.unload()


async def vectors_of(embedder, *inputs, **fields):
    return (await embedder.embed(EmbedRequest(inputs, **fields))).vectors


def run(scenario):
    asyncio.run(scenario())


def cosines(some, others):
    return np.sum(some * others, axis=1)


def test_it_embeds(case):
    assert embeds(create(case))


def test_vectors_are_the_models_own_in_the_order_of_the_texts(case):
    async def scenario():
        async with loaded(case) as embedder:
            embeddings = await embedder.embed(EmbedRequest(TEXTS))
            assert embeddings.vectors.dtype == np.float32
            assert embeddings.vectors.shape == (len(TEXTS), embedder.dimension)
            expected = np.stack(list(EXPECTED.values()))
            assert cosines(embeddings.vectors, expected).min() > 0.99
            np.testing.assert_allclose(np.linalg.norm(embeddings.vectors, axis=1), 1, rtol=1e-5)
            assert len(embeddings.num_tokens) == len(TEXTS)
            assert 0 < min(embeddings.num_tokens) <= max(embeddings.num_tokens)
            assert max(embeddings.num_tokens) <= embedder.max_model_len

    run(scenario)


def test_a_text_has_one_vector_in_any_company(case):
    async def scenario():
        async with loaded(case) as embedder:
            alone = np.concatenate([await vectors_of(embedder, text) for text in TEXTS])
            together = await vectors_of(embedder, *TEXTS)
            np.testing.assert_allclose(together, alone, atol=1e-5)
            crowd = await asyncio.gather(
                *(vectors_of(embedder, *TEXTS[n:], *TEXTS[:n]) for n in range(len(TEXTS)))
            )
            for n, vectors in enumerate(crowd):
                np.testing.assert_allclose(np.roll(vectors, n, axis=0), alone, atol=1e-5)

    run(scenario)


def test_token_ids_are_an_input(case):
    async def scenario():
        async with loaded(case) as embedder:
            ids = (5, 6, 7, 8)
            embeddings = await embedder.embed(EmbedRequest((ids, "Hello", ids)))
            assert embeddings.num_tokens[0] == len(ids)
            np.testing.assert_allclose(embeddings.vectors[0], embeddings.vectors[2], atol=1e-5)

    run(scenario)


def test_what_is_too_long_is_refused_or_cut_where_asked(case):
    async def scenario():
        async with loaded(case) as embedder:
            longest = embedder.max_model_len
            for too_long in ("a " * 2 * longest, (5,) * (longest + 1)):
                with pytest.raises(ContextTooLong) as caught:
                    await vectors_of(embedder, "Hello", too_long)
                assert caught.value.param == "input"
                for limit in (longest, 3):
                    request = EmbedRequest((too_long, "a"), truncate_to=limit)
                    assert (await embedder.embed(request)).num_tokens == (limit, 3)
            vectors = await vectors_of(embedder, (5,) * 9, (5,) * 4, truncate_to=4)
            np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)

    run(scenario)


def test_what_is_no_text_is_refused(case):
    async def scenario():
        async with loaded(case) as embedder:
            for nothing in ((), (10**9,), (-1,)):
                with pytest.raises(InvalidRequest, match="text 1") as caught:
                    await vectors_of(embedder, "Hello", nothing)
                assert caught.value.param == "input"

    run(scenario)


def test_dimensions_other_than_the_models_are_refused_by_name(case):
    async def scenario():
        async with loaded(case) as embedder:
            same = await vectors_of(embedder, "Hello", dimensions=embedder.dimension)
            np.testing.assert_array_equal(same, await vectors_of(embedder, "Hello"))
            with pytest.raises(UnsupportedField) as caught:
                await vectors_of(embedder, "Hello", dimensions=embedder.dimension // 2)
            assert caught.value.param == "dimensions"

    run(scenario)


def test_who_leaves_leaves_nothing_behind(case):
    async def scenario():
        async with loaded(case) as embedder:
            task = asyncio.create_task(vectors_of(embedder, *["the cat sat"] * 5000))
            async with asyncio.timeout(10):
                while not embedder.occupancy().num_waiting:
                    await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert embedder.occupancy().num_waiting == 0
            assert (await vectors_of(embedder, "Hello")).shape == (1, embedder.dimension)

    run(scenario)


def test_unloading_twice_ends_what_runs_and_refuses_what_comes(case):
    async def scenario():
        async with loaded(case) as embedder:
            await embedder.check_health()
            running = asyncio.create_task(vectors_of(embedder, *["the cat sat"] * 5000))
            await asyncio.sleep(0.05)
            await embedder.unload()
            await embedder.unload()
            with pytest.raises(ServingError):
                await running
            with pytest.raises(EngineDead):
                await vectors_of(embedder, "Hello")
            with pytest.raises(EngineDead):
                await embedder.check_health()

    run(scenario)


def test_unknown_engine_kwargs_are_refused_by_name(case):
    with pytest.raises(ConfigError, match="tokens_per_sec"):
        create(case, engine_kwargs={"tokens_per_sec": 1})
