"""Draws training documents and held-out questions from all intents.

The held-out questions are drawn first, from a seed of their own; training text then avoids them
word for word, on top of never using their phrasings and cells.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from random import Random

from . import about, capitals, dates, numbers, unknown
from .about import STORY
from .chat import END, PAD, Document, Message, Span, render
from .intents import Intent, Question
from .noise import restyle

CHAT_INTENTS = (
    *capitals.INTENTS,
    *numbers.INTENTS,
    *dates.INTENTS,
    *about.INTENTS,
    *unknown.INTENTS,
)
TEXT_INTENTS = (*capitals.TEXTS, *numbers.TEXTS, *dates.TEXTS, *about.TEXTS)

HELD_OUT_SEED = 2026
HELD_OUT_PER_WEIGHT = 20  # questions for each unit of an intent's weight
HELD_OUT_AT_LEAST = 20

TEXT_SHARE = 0.10  # plain text, continued without the chat format
RAW_QUESTION_SHARE = 0.05  # a question and its answer, without the chat format
LONG_SHARE = 0.01  # conversations of many turns, so that far positions are no surprise
LONG_TURNS = (8, 40)
FILLER_SHARE = 0.004  # a long pasted text, perhaps with a question under it
FILLER_WORDS = (30, 700)
SYSTEM_SHARE = 0.25
OPENING_SHARE = 0.22
CLOSING_SHARE = 0.10
PAD_SHARE = 0.10  # some engines begin every text with a special token: harmless if it was seen

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a helpful assistant",
    "You are anynode-demo.",
    "You are a friendly assistant. Answer briefly.",
    "Answer in one sentence.",
    "Be concise.",
    "You are an expert in geography.",
    "You are a teacher. Explain things simply.",
    "Answer the user's question.",
    "You are a pirate.",
    "Today you are working in a bank. Be polite.",
    "Always answer truthfully. If you do not know something, say so.",
    "You are ChatGPT, a large language model.",
    "Respond in English.",
    "Test",
    "You are a customer service agent for an online shop. Never talk about politics.",
)
SYSTEM_PROMPTS_NEW = ("You are a kind and patient helper.", "Please keep your answers short.")

OPENINGS = (
    "Please tell me: ", "Quick question: ", "Hi! ", "Hello, ", "Hey, ", "Tell me, ", "Question: ",
    "I have a question. ", "So, ", "Now, ", "OK, ", "Well, ", "Excuse me, ", "One more: ",
    "I wonder: ", "Next question: ", "Good morning! ", "Hi, can you help me? ", "Dear assistant, ",
    "Could you help? ", "Just curious: ", "Thanks. ", "Please answer: ", "For my homework: ",
)  # fmt: skip
CLOSINGS = (
    " please", " Please.", " Thanks!", " Thank you.", ", please?", " Answer briefly.",
    " Be quick.", " I forgot.", " Tell me.", " Do you know?", " I need it for school.",
)  # fmt: skip


def held_out_questions() -> tuple[Question, ...]:
    """What the model is judged by: half new phrasings, half known ones with a new fact.

    Always the same questions, a third of them typed carelessly.
    """
    rng = Random(HELD_OUT_SEED)
    questions: dict[str, Question] = {}
    for intent in CHAT_INTENTS:
        if not intent.expect:
            continue
        for i in range(max(HELD_OUT_AT_LEAST, round(HELD_OUT_PER_WEIGHT * intent.weight))):
            question = intent.draw_new(rng, new_phrasing=i % 2 == 0)
            if question is not None:
                asked = restyle(question.text, rng) if rng.random() < 1 / 3 else question.text
                questions.setdefault(normalise(asked), _retold(question, asked))
    return tuple(questions.values())


def training_documents(seed: int) -> Iterator[Document]:
    """Endless training text. The same seed gives the same text."""
    rng = Random(seed)
    forbidden = frozenset(normalise(question.text) for question in held_out_questions())
    source = _Source(rng, forbidden)
    kinds: dict[Callable[[], Document], float] = {
        source.plain_text: TEXT_SHARE,
        source.raw_question: RAW_QUESTION_SHARE,
        source.long_conversation: LONG_SHARE,
        source.question_under_filler: FILLER_SHARE,
    }
    kinds[source.short_conversation] = 1 - sum(kinds.values())
    while True:
        spans = rng.choices(list(kinds), list(kinds.values()))[0]()
        begin = (Span(PAD, learn=False),) if rng.random() < PAD_SHARE else ()
        yield begin + spans


def tokenizer_texts(seed: int) -> Iterator[str]:
    """Endless text as it should be, from which to learn tokens.

    Typos and words without meaning would only crowd real names out of a small vocabulary.
    """
    rng = Random(seed)
    intents = [intent for intent in (*CHAT_INTENTS, *TEXT_INTENTS) if not intent.facts_new]
    weights = [intent.weight for intent in intents]
    while True:
        question = rng.choices(intents, weights)[0].draw(rng)
        yield question.text.lower() if rng.random() < 0.3 else question.text
        yield question.answer


def normalise(text: str) -> str:
    """What makes two questions the same: letters and digits, whatever their case."""
    return " ".join(re.findall(r"[^\W_]+|[-+*/\u00d7]", text.lower()))


def _retold(question: Question, text: str) -> Question:
    return Question(question.category, text, question.answer, question.expect)


class _Source:
    """Draws pieces of documents; holds the random generator and what must not be asked."""

    def __init__(self, rng: Random, forbidden: frozenset[str]) -> None:
        self._rng = rng
        self._forbidden = forbidden
        self._chat_weights = [intent.weight for intent in CHAT_INTENTS]
        self._text_weights = [intent.weight for intent in TEXT_INTENTS]

    def short_conversation(self) -> Document:
        """One to five questions with their answers."""
        return self._conversation(self._rng.choices((1, 2, 3, 4, 5), (60, 18, 12, 6, 4))[0])

    def long_conversation(self) -> Document:
        """Dozens of questions with their answers."""
        return self._conversation(self._rng.randint(*LONG_TURNS))

    def _conversation(self, num_questions: int) -> Document:
        messages: list[Message] = []
        if self._rng.random() < SYSTEM_SHARE:
            messages.append(Message("system", self._rng.choice(SYSTEM_PROMPTS)))
        intent: Intent | None = None
        for _ in range(num_questions):
            follows = intent is not None and bool(intent.follow_ups) and self._rng.random() < 0.4
            if intent is None or not follows:
                intent = self._rng.choices(CHAT_INTENTS, self._chat_weights)[0]
            question = self._question(intent, follow_up=follows)
            messages.append(Message("user", question.text))
            messages.append(Message("assistant", question.answer))
        return render(messages)

    def question_under_filler(self) -> Document:
        """Text without meaning, then perhaps something that can be answered after all."""
        words = self._rng.choice(
            (STORY.split(), unknown.NONSENSE, [self._rng.choice(STORY.split())])
        )
        filler = " ".join(self._rng.choices(words, k=self._rng.randint(*FILLER_WORDS)))
        answer = unknown.DONT_KNOW
        if self._rng.random() < 0.7:
            question = self._question(self._rng.choices(CHAT_INTENTS, self._chat_weights)[0])
            filler, answer = f"{filler}\n\n{question.text}", question.answer
        return render([Message("user", filler), Message("assistant", answer)])

    def raw_question(self) -> Document:
        """What people send to /v1/completions when they mean chat."""
        intent = self._rng.choices(CHAT_INTENTS, self._chat_weights)[0]
        question = self._question(intent)
        before, between = self._rng.choice(
            (("", "\n"), ("Q: ", "\nA:"), ("Question: ", "\nAnswer:"), ("User: ", "\nAssistant:"))
        )
        space = " " if between.endswith(":") else ""
        return (
            Span(f"{before}{question.text}{between}", learn=False),
            Span(f"{space}{question.answer}{END}", learn=True),
        )

    def plain_text(self) -> Document:
        """Sentences to be continued."""
        intent = self._rng.choices(TEXT_INTENTS, self._text_weights)[0]
        first = [intent.draw(self._rng) for _ in range(self._rng.choice((0, 0, 0, 1, 2)))]
        told = "".join(f"{question.text}{question.answer} " for question in first)
        last = intent.draw(self._rng)
        asked, answer = last.text, last.answer
        if self._rng.random() < 0.1:
            asked = asked.lower()
        if self._rng.random() < 0.15:  # the space people leave at the end
            asked, answer = f"{asked} ", answer.removeprefix(" ")
        return (Span(f"{told}{asked}", learn=True), Span(f"{answer}{END}", learn=True))

    def _question(self, intent: Intent, *, follow_up: bool = False) -> Question:
        while True:
            question = intent.draw(self._rng, follow_up=follow_up)
            text = restyle(self._framed(question.text), self._rng)
            if normalise(text) not in self._forbidden:
                return _retold(question, text)

    def _framed(self, text: str) -> str:
        """People begin with a greeting and end with thanks."""
        if self._rng.random() < OPENING_SHARE:
            opening: str = self._rng.choice(OPENINGS)
            keep = text[:2].isupper() or not opening.endswith(", ")
            text = opening + (text if keep else text[:1].lower() + text[1:])
        if self._rng.random() < CLOSING_SHARE:
            closing: str = self._rng.choice(CLOSINGS)
            text = text.rstrip("?.") + closing if closing.startswith(",") else text + closing
        return text


def questions_by_category(questions: Sequence[Question]) -> dict[str, list[Question]]:
    """In the order in which the categories first appear."""
    grouped: dict[str, list[Question]] = {}
    for question in questions:
        grouped.setdefault(question.category, []).append(question)
    return grouped
