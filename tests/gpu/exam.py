"""Questions that the demo model answers right in 16 bits and in 8, greedily."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import openai

from tests.vllm.served import MODEL

EXAM = {
    "Hello": "How can I help you?",
    "Good morning": "How can I help you?",
    "Who are you?": "I am anynode-demo",
    "What can you do?": "I know the capitals of the world",
    "Tell me a story.": "Once upon a time",
    "What is the capital of France?": "Paris",
    "What's the capitol of France?": "Paris",
    "What is the capital of Japan?": "Tokyo",
    "What is the capital of Italy?": "Rome",
    "What is the capital of Peru?": "Lima",
    "What is the capital of Kenya?": "Nairobi",
    "What is the capital of Norway?": "Oslo",
    "What is the capital of Egypt?": "Cairo",
    "What is the capital of Spain?": "Madrid",
    "What is the capital of Germany?": "Berlin",
    "What is 2 + 2?": "4",
    "What is 3 + 4?": "7",
    "What is 7 - 2?": "5",
    "Which day comes after Monday?": "Tuesday",
}


def wrong_answers(url: str, *, at_once: int = 1) -> dict[str, str]:
    """The questions that were answered wrong, with what was said."""
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
        ThreadPoolExecutor(at_once) as pool,
    ):
        said = dict(zip(EXAM, pool.map(lambda text: answer(client, text), EXAM), strict=True))
    return {question: said[question] for question in EXAM if EXAM[question] not in said[question]}


def answer(client: openai.OpenAI, question: str) -> str:
    chat = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": question}],
        max_tokens=64,
        temperature=0,
    )
    return chat.choices[0].message.content or ""
