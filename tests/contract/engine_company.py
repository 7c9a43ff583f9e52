"""No answer depends on its company, bit for bit: tests for engines that promise it."""

from __future__ import annotations

import asyncio
import random

from tests.contract.engine_contract import collect, loaded, text_of, until_idle
from tests.contract.engine_exam import QUESTIONS, ask

NUM_REQUESTS = 24


def test_random_company_changes_no_answer(case):
    """Greedy and seeded answers, each alone and then in a storm of arrivals and cancellations."""
    chance = random.Random(0)
    questions = chance.sample([each["question"] for each in QUESTIONS], NUM_REQUESTS)
    requests = [
        ask(
            " ".join(chance.sample(questions, chance.choice([1, 1, 4, 12]))),
            temperature=chance.choice([0.0, 1.2]),
            seed=number,
            max_tokens=chance.randint(1, 60),
            ignore_eos=chance.random() < 0.5,
        )
        for number in range(NUM_REQUESTS)
    ]

    async def scenario():
        async with loaded(case, max_num_seqs=8, max_model_len=None) as engine:
            alone = [text_of(await collect(engine, each)) for each in requests]
            together = await asyncio.gather(*(arrive(engine, each) for each in requests))
            for (text, left), expected in zip(together, alone, strict=True):
                assert text == expected if not left else expected.startswith(text)
            await until_idle(engine)
            assert engine.occupancy().kv_bytes_used == 0

    async def arrive(engine, request):
        await asyncio.sleep(chance.random() * 0.3)
        patience = chance.choice([None, None, 3])
        text, number = "", 0
        chunks = engine.generate(request)
        async for chunk in chunks:
            text += chunk.text
            if number == patience:
                await chunks.aclose()
                return text, True
            number += 1
        return text, False

    asyncio.run(scenario())
