"""The same requests for every arm: prompts of random tokens and lengths drawn once, seeded."""

from __future__ import annotations

import random
from dataclasses import dataclass

FIRST_ORDINARY_TOKEN = 16  # below are special tokens and, in some vocabularies, bytes


@dataclass(frozen=True, slots=True)
class Job:
    """A prompt and how many tokens must follow it."""

    prompt: tuple[int, ...]
    max_tokens: int


def fixed_jobs(count: int, prompt_tokens: int, max_tokens: int, vocab_size: int) -> list[Job]:
    """Jobs of one size."""
    return mixed_jobs(count, prompt_tokens, (max_tokens, max_tokens), vocab_size)


def mixed_jobs(
    count: int, prompt_tokens: int, max_tokens: tuple[int, int], vocab_size: int, seed: int = 0
) -> list[Job]:
    """Jobs whose answers are of any length between two."""
    chance = random.Random(seed)
    return [
        Job(
            tuple(chance.randrange(FIRST_ORDINARY_TOKEN, vocab_size) for _ in range(prompt_tokens)),
            chance.randint(*max_tokens),
        )
        for _ in range(count)
    ]
