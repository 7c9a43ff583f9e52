"""Prompts from a file: JSONL, a JSON list, ShareGPT's JSON, or one a line.

An entry is a text, `{"prompt": …}`, `{"text": …}` or `{"messages": […]}`, with `max_tokens` or
`output_tokens` if its answer's length is known; its other fields are not used. Of a ShareGPT
conversation the first turn of the human is asked; with a tokenizer its answer is asked to be as
long as the one it got. Conversations in which no human speaks are left out: ShareGPT has many.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from inference.bench.plan import RouteName
from inference.bench.prompts.asked import text_prompt
from inference.bench.prompts.tokenizer import BenchTokenizer
from inference.bench.record import Prompt
from inference.bench.text_file import numbered_lines, parse_json, read_text
from serving.errors import ConfigError

KINDS = (".jsonl", ".json", ".txt")
HUMANS = ("human", "user")


@dataclass(frozen=True, slots=True)
class Question:
    """What an entry asks: a text or the turns of a chat."""

    text: str = ""
    messages: tuple[Mapping[str, str], ...] = ()
    max_tokens: int | None = None
    answer: str | None = None  # what it was answered once


class DatasetPrompts:
    """The file's prompts, shuffled by the seed, again and again."""

    def __init__(
        self,
        path: Path,
        route: RouteName,
        *,
        seed: int = 0,
        tokenizer: BenchTokenizer | None = None,
    ) -> None:
        """Raises ConfigError naming the file, the entry and what is wrong."""
        self._route = route
        self._tokenizer = tokenizer
        self._questions = list(_questions(path, route))
        if not self._questions:
            raise ConfigError(f"--dataset: {path} holds no prompt")
        random.Random(seed).shuffle(self._questions)

    def prompt(self, number: int) -> Prompt:
        asked = self._questions[number % len(self._questions)]
        if asked.messages:
            return Prompt(messages=asked.messages, max_tokens=asked.max_tokens)
        return text_prompt(
            self._route,
            asked.text,
            num_tokens=self._count(asked.text),
            max_tokens=asked.max_tokens or self._count(asked.answer),
        )

    def _count(self, text: str | None) -> int | None:
        return self._tokenizer.count(text) if self._tokenizer and text else None


def _questions(path: Path, route: RouteName) -> Iterator[Question]:
    for where, entry in _entries(path):
        asked = _question(entry, where)
        if asked is None:
            continue
        if asked.messages and route != "chat":
            raise ConfigError(f"{where}: messages are for --route chat, not {route}")
        yield asked


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Each with its place."""
    if path.suffix not in KINDS:
        raise ConfigError(f"--dataset: {path} is none of the kinds known: {', '.join(KINDS)}")
    content = read_text(path, "--dataset")
    if path.suffix == ".json":
        listed = parse_json(content, path)
        if not isinstance(listed, list):
            raise ConfigError(f"{path}: it must be a JSON list; one object a line is .jsonl")
        yield from ((f"{path}: entry {number}", each) for number, each in enumerate(listed, 1))
        return
    for number, line in numbered_lines(content):
        yield f"{path}:{number}", line if path.suffix == ".txt" else parse_json(line, path, number)


def _question(entry: Any, where: str) -> Question | None:
    """None where nobody asks anything."""
    if isinstance(entry, str):
        entry = {"prompt": entry}
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: an entry must be a text or a JSON object")
    if "conversations" in entry:
        return _first_turn(_turns(entry, "conversations", "from", "value", where))
    max_tokens = _max_tokens(entry, where)
    if "messages" in entry:
        turns = _turns(entry, "messages", "role", "content", where)
        if not turns:
            raise ConfigError(f"{where}: messages must hold at least one")
        return Question(messages=tuple(turns), max_tokens=max_tokens)
    return Question(text=_text(entry, where), max_tokens=max_tokens)


def _turns(
    entry: Mapping[str, Any], name: str, who: str, what: str, where: str
) -> list[dict[str, str]]:
    """A list of objects that say `who` speaks and `what`."""
    turns = entry[name]
    if isinstance(turns, list) and all(
        isinstance(turn, dict)
        and isinstance(turn.get(who), str)
        and isinstance(turn.get(what), str)
        for turn in turns
    ):
        return turns
    raise ConfigError(f"{where}: {name} must be a list of objects with texts {who} and {what}")


def _first_turn(turns: list[dict[str, str]]) -> Question | None:
    nobody = {"from": "", "value": ""}
    for turn, after in pairwise([*turns, nobody]):
        if turn["from"] in HUMANS and turn["value"]:
            answer = None if after["from"] in HUMANS else after["value"]
            return Question(text=turn["value"], answer=answer)
    return None


def _text(entry: Mapping[str, Any], where: str) -> str:
    text = entry.get("prompt", entry.get("text"))
    if not isinstance(text, str) or not text:
        raise ConfigError(f"{where}: it has no text as prompt, text, messages or conversations")
    return text


def _max_tokens(entry: Mapping[str, Any], where: str) -> int | None:
    for name in ("max_tokens", "output_tokens"):
        found = entry.get(name)
        if found is None:
            continue
        if isinstance(found, bool) or not isinstance(found, int) or found < 1:
            raise ConfigError(f"{where}: {name}: {found!r} is no number of tokens")
        return found
    return None
