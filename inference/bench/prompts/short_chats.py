"""Four short chats that clients go through again and again, as visitors of a demo would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inference.bench.record import Prompt

Chat = tuple[Mapping[str, str], ...]


def chat(system: str, *turns: str) -> Chat:
    """Turns of user and assistant, in turn."""
    roles = ("user", "assistant")
    spoken = [{"role": roles[index % 2], "content": content} for index, content in enumerate(turns)]
    return ({"role": "system", "content": system}, *spoken)


CHATS = (
    chat(
        "You are a patient teacher. Answer in three sentences.",
        "Why is the sky blue in the day and red in the evening?",
    ),
    chat(
        "You help people cook with what they have.",
        "I have rice, two eggs, a carrot and soy sauce. What can I make?",
        "Fried rice: cook the rice first, then fry everything in a hot pan.",
        "How long does each step take?",
    ),
    chat(
        "You are a programmer who writes short Python.",
        "Write a function that tells whether a year is a leap year, and explain it.",
    ),
    chat(
        "You plan journeys and keep to the budget.",
        "Suggest a weekend in the mountains for two people without a car.",
        "Take a train to a valley town and walk from there. How much may it cost?",
        "Two hundred euros for everything. Give me a plan for both days.",
    ),
)


@dataclass(frozen=True, slots=True)
class ShortChats:
    """One chat after the other, endlessly; keeps the promise of `record.PromptSource`."""

    output_tokens: int
    seed: int = 0  # says which one comes first

    def prompt(self, number: int) -> Prompt:
        return Prompt(
            messages=CHATS[(self.seed + number) % len(CHATS)], max_tokens=self.output_tokens
        )
