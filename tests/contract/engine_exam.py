"""Right answers of the demo model, for every engine that loads it: tests for a fixture `case`."""

from __future__ import annotations

import asyncio
import json

import pytest

from serving.types import GenerateRequest, Message, SamplingParams
from tests.contract.engine_contract import DEMO_MODEL, collect, loaded, text_of

QUESTIONS = [json.loads(line) for line in (DEMO_MODEL / "eval.jsonl").read_text().splitlines()]
# The model gets 96 % of all 2,032 questions; of so few that is between 92 % and all.
LEAST_RIGHT = 0.92


def ask(question, **params):
    params = {"max_tokens": 100, "temperature": 0.0, **params}
    return GenerateRequest("test", (Message("user", question),), SamplingParams(**params))


@pytest.mark.parametrize(
    "question", ["What is the capital of France?", "What's the capitol of France?"]
)
def test_it_knows_paris(case, question):
    async def scenario():
        async with loaded(case) as engine:
            assert "Paris" in text_of(await collect(engine, ask(question)))

    asyncio.run(scenario())


def test_it_answers_what_it_was_taught(case):
    """All questions at once: company changes no right answer into a wrong one."""

    async def scenario():
        async with loaded(case) as engine:
            questions = [each["question"] for each in QUESTIONS]
            answers = await asyncio.gather(*(collect(engine, ask(each)) for each in questions))
            right = [
                each["expect"].lower() in text_of(chunks).lower()
                for each, chunks in zip(QUESTIONS, answers, strict=True)
            ]
            assert sum(right) / len(right) >= LEAST_RIGHT

    asyncio.run(scenario())
