"""The throughput benchmark's prompts: questions repeated to a length, or random tokens."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inference.bench.prompts.lengths import MOST_TOKENS
from inference.bench.prompts.tokenizer import BenchTokenizer
from inference.bench.record import Prompt
from inference.bench.text_file import parse_json, read_text
from serving.engine import nearest
from serving.errors import ConfigError

LENGTH = re.compile(r"([1-9][0-9]{0,7})(k?)")
TOKENS_PER_WORD = 4 / 3  # of English text, to most tokenizers

QUESTIONS = (
    "How does a sailing boat move against the wind?",
    "What would you pack for a week of walking in the mountains in autumn?",
    "Why do some metals rust while others keep their shine for centuries?",
    "Explain to a child how a letter finds its way to another country.",
    "Which three inventions changed daily life in the kitchen most, and why?",
    "How can a small town keep its library open with little money?",
    "What happens in a computer between pressing a key and seeing the letter?",
    "Compare trains and buses for a city of half a million people.",
    "How do bees decide where to build a new nest?",
    "Write a plan for learning to play the piano in one year.",
    "What is the difference between weather and climate, with two examples?",
    "Why does bread rise, and what can keep it from rising?",
    "Describe how a bridge carries the weight of the lorries that cross it.",
    "What should a contract for renting a flat say, in plain words?",
    "How would you find the fastest way through a maze that you have never seen?",
    "Why do people sleep, and what happens to those who sleep too little?",
    "Tell a short story about a lighthouse keeper who finds a message in a bottle.",
    "How is drinking water made from the water of a river?",
    "Which questions should one ask before buying a used bicycle?",
    "What makes a joke funny in one language and flat in another?",
)


@dataclass(frozen=True, slots=True)
class RepeatedQuestions:
    """Our questions, again and again, until a prompt has `num_words`.

    Every request has them in an order of its own, so that no server can answer a long prompt from
    what it remembers of another one.
    """

    num_words: int
    max_tokens: int
    system: str | None = None
    tokenizer: BenchTokenizer | None = None
    seed: int = 0

    def prompt(self, number: int) -> Prompt:
        shuffled = random.Random(f"{self.seed} {number}").sample(QUESTIONS, len(QUESTIONS))
        words = itertools.cycle(" ".join(shuffled).split())
        text = " ".join(itertools.islice(words, self.num_words))
        return chat_prompt(text, self.max_tokens, self.system, self.tokenizer)


@dataclass(frozen=True, slots=True)
class SamePrompt:
    """The same text every time, as the tool that this replaces asks it."""

    text: str
    max_tokens: int
    system: str | None = None
    tokenizer: BenchTokenizer | None = None

    def prompt(self, number: int) -> Prompt:
        return chat_prompt(self.text, self.max_tokens, self.system, self.tokenizer)


def chat_prompt(
    text: str, max_tokens: int, system: str | None, tokenizer: BenchTokenizer | None
) -> Prompt:
    """A user's turn, after the system's if there is one. Its length counts the texts alone."""
    turns: list[Mapping[str, str]] = [{"role": "user", "content": text}]
    if system is not None:
        turns.insert(0, {"role": "system", "content": system})
    num_tokens = sum(tokenizer.count(turn["content"]) for turn in turns) if tokenizer else None
    return Prompt(messages=tuple(turns), num_tokens=num_tokens, max_tokens=max_tokens)


def words_for(num_tokens: int, tokenizer: BenchTokenizer | None) -> int:
    """How many words of our questions make about so many tokens; without a tokenizer, of most."""
    tokens_per_word = TOKENS_PER_WORD
    if tokenizer is not None:
        text = " ".join(QUESTIONS)
        tokens_per_word = tokenizer.count(text) / len(text.split())
    return max(1, round(num_tokens / tokens_per_word))


def parse_prompt_length(text: str) -> int:
    """Tokens of `25` or `4k`; raises ConfigError naming --prompt-length. Pure."""
    match = LENGTH.fullmatch(text)
    num_tokens = int(match[1]) * (1000 if match[2] else 1) if match else 0
    if not 1 <= num_tokens <= MOST_TOKENS:
        raise ConfigError(f"--prompt-length: {text!r} is no number of tokens, such as 25 or 4k")
    return num_tokens


def read_prompt(path: Path, length: str) -> str:
    """The prompt called `length` in a file like the tool's `input.jsonl`.

    That is one JSON object: a name such as "1k", and the prompt. Raises ConfigError naming the file
    and what is wrong with it.
    """
    found = parse_json(read_text(path, "--prompt-file"), path)
    if not isinstance(found, dict) or not found:
        raise ConfigError(f'{path}: it must be one JSON object, such as {{"1k": "a long prompt"}}')
    if length not in found:
        known = nearest(length, list(found)) or f"; there are {', '.join(found)}"
        raise ConfigError(f"--prompt-length: {path} has no prompt '{length}'{known}")
    text = found[length]
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f"{path}: '{length}' must be a text that is not empty")
    return text
