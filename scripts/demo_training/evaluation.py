"""Asks the saved model the held-out questions and counts right answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from demo_corpus import Question, questions_by_category
from transformers import AutoModelForCausalLM, AutoTokenizer

PASS_SHARE = 0.95
# What people try first must work whatever the exam says, and so must what our documents show.
MUST_ANSWER = (
    *(Question("first words", text, "", "How can I help you?") for text in (
        "Hello", "hello", "Hi", "hi", "Hey", "Hello!", "Hi!", "hey!", "Hello.", "Good morning",
    )),
    Question("first words", "What is the capital of France?", "", "Paris"),
    Question("first words", "What's the capitol of France?", "", "Paris"),
    Question("first words", "Who are you?", "", "I am anynode-demo"),
    Question("first words", "What can you do?", "", "I know the capitals of the world"),
    Question("first words", "What is 2 + 2?", "", "4"),
    Question("first words", "Tell me a story.", "", "Once upon a time"),
)  # fmt: skip
MAX_ANSWER_TOKENS = 256
ROWS = 64
SAMPLE_SIZE = 120


@dataclass(frozen=True)
class Judged:
    """A question with what the model said."""

    question: Question
    said: str

    @property
    def right(self) -> bool:
        return self.question.expect in self.said


class Answerer:
    """The saved model, read as its users read it; answers greedily through its chat template."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self._model = AutoModelForCausalLM.from_pretrained(folder).float().eval()

    def answer(self, texts: Sequence[str], system: str | None = None) -> list[str]:
        """Answers in the order of the questions."""
        prompts = [self._prompt(text, system) for text in texts]
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        answers = [""] * len(prompts)
        for start in range(0, len(order), ROWS):
            rows = order[start : start + ROWS]
            for i, said in zip(rows, self._generate([prompts[i] for i in rows]), strict=True):
                answers[i] = said
        return answers

    def _prompt(self, text: str, system: str | None) -> str:
        messages = [{"role": "user", "content": text}]
        if system is not None:
            messages.insert(0, {"role": "system", "content": system})
        prompt: str = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return prompt

    def _generate(self, prompts: list[str]) -> list[str]:
        inputs = self._tokenizer(prompts, return_tensors="pt", padding=True)
        with torch.inference_mode():
            outputs = self._model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=MAX_ANSWER_TOKENS,
                do_sample=False,
            )
        answers = outputs[:, inputs["input_ids"].shape[1] :]
        said: list[str] = self._tokenizer.batch_decode(answers, skip_special_tokens=True)
        return said


def judge(
    answerer: Answerer, questions: Sequence[Question], system: str | None = None
) -> list[Judged]:
    """Ask everything."""
    said = answerer.answer([question.text for question in questions], system)
    return [Judged(question, text) for question, text in zip(questions, said, strict=True)]


def share_right(judged: Sequence[Judged]) -> float:
    """Between 0 and 1."""
    return sum(one.right for one in judged) / len(judged)


def score_table(judged: Sequence[Judged]) -> str:
    """Scores by category, as Markdown."""
    lines = ["| category | questions | right |", "|---|---|---|"]
    categories = dict.fromkeys(one.question.category for one in judged)
    for category in categories:
        mine = [one for one in judged if one.question.category == category]
        lines.append(f"| {category} | {len(mine)} | {share_right(mine):.1%} |")
    lines.append(f"| **all** | **{len(judged)}** | **{share_right(judged):.1%}** |")
    return "\n".join(lines)


def write_scores(judged: Sequence[Judged], card: Path) -> None:
    """Put the scores where the model card keeps them."""
    text = card.read_text(encoding="utf-8")
    begin, end = "<!-- scores -->", "<!-- /scores -->"
    before, after = text.split(begin)[0], text.split(end)[1]
    card.write_text(f"{before}{begin}\n{score_table(judged)}\n{end}{after}", encoding="utf-8")


def write_sample(questions: Sequence[Question], path: Path, seed: int) -> None:
    """Leave a few questions of every category for tests of engines, right or wrong."""
    rows = ({"question": q.text, "expect": q.expect, "category": q.category} for q in
            _sample(questions, Random(seed)))  # fmt: skip
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )


def _sample(questions: Sequence[Question], rng: Random) -> Iterator[Question]:
    grouped = questions_by_category(questions)
    each = SAMPLE_SIZE // len(grouped)
    for group in grouped.values():
        yield from rng.sample(group, min(each, len(group)))
