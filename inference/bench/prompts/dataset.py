"""Prompts from a file: JSONL, a JSON list, ShareGPT's JSON, or one a line.

An entry is `{"prompt": …}`, `{"text": …}` or `{"messages": […]}`, with `max_tokens` or
`output_tokens` if its answer's length is known. Of a ShareGPT conversation the first turn of the
human is asked; with a tokenizer its answer is asked to be as long as the one it got.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inference.bench.plan import RouteName
from inference.bench.prompts.asked import text_prompt
from inference.bench.prompts.tokenizer import BenchTokenizer
from inference.bench.record import Prompt
from serving.errors import ConfigError

KINDS = (".jsonl", ".json", ".txt")
HUMANS = {"human", "user"}


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
        self._prompts = [self._prompt(entry, where) for where, entry in _entries(path)]
        if not self._prompts:
            raise ConfigError(f"--dataset: {path} holds no prompt")
        random.Random(seed).shuffle(self._prompts)

    def prompt(self, number: int) -> Prompt:
        return self._prompts[number % len(self._prompts)]

    def _prompt(self, entry: Any, where: str) -> Prompt:
        if isinstance(entry, str):
            entry = {"prompt": entry}
        if not isinstance(entry, dict):
            raise ConfigError(f"{where}: an entry must be a text or a JSON object")
        if "conversations" in entry:
            return self._first_turn(entry["conversations"], where)
        max_tokens = _max_tokens(entry, where)
        if "messages" in entry:
            return self._chat(entry["messages"], max_tokens, where)
        return self._text(_text(entry, where), max_tokens)

    def _text(self, text: str, max_tokens: int | None) -> Prompt:
        count = self._tokenizer.count(text) if self._tokenizer else None
        return text_prompt(self._route, text, num_tokens=count, max_tokens=max_tokens)

    def _chat(self, messages: Any, max_tokens: int | None, where: str) -> Prompt:
        if self._route != "chat":
            raise ConfigError(f"{where}: messages are for --route chat, not {self._route}")
        turns = messages if isinstance(messages, list) else []
        if not turns or not all(isinstance(turn, dict) and "role" in turn for turn in turns):
            raise ConfigError(f"{where}: messages must be a list of objects with role and content")
        return Prompt(messages=tuple(turns), max_tokens=max_tokens)

    def _first_turn(self, conversation: Any, where: str) -> Prompt:
        turns = conversation if isinstance(conversation, list) else []
        said = [(turn.get("from"), turn.get("value")) for turn in turns if isinstance(turn, dict)]
        for place, (who, text) in enumerate(said):
            if who in HUMANS and isinstance(text, str) and text:
                answer = said[place + 1][1] if place + 1 < len(said) else None
                return self._text(text, self._length(answer))
        raise ConfigError(f"{where}: no turn of the conversation is a human's")

    def _length(self, answer: Any) -> int | None:
        if self._tokenizer is None or not isinstance(answer, str):
            return None
        return max(1, self._tokenizer.count(answer))


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Each with the place it is at."""
    if path.suffix not in KINDS:
        raise ConfigError(f"--dataset: {path} is none of the kinds known: {', '.join(KINDS)}")
    try:
        content = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"--dataset: {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"--dataset: {path} is not UTF-8") from error
    if path.suffix == ".json":
        listed = _json(content, str(path))
        if not isinstance(listed, list):
            raise ConfigError(f"{path}: it must be a JSON list; one object a line is .jsonl")
        yield from ((f"{path}: entry {number}", each) for number, each in enumerate(listed, 1))
        return
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip():
            where = f"{path}:{number}"
            yield where, line if path.suffix == ".txt" else _json(line, where)


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{where}: not JSON: {error.msg}") from error


def _text(entry: dict[str, Any], where: str) -> str:
    text = entry.get("prompt", entry.get("text"))
    if not isinstance(text, str) or not text:
        raise ConfigError(f"{where}: it has no prompt, text, messages or conversations")
    return text


def _max_tokens(entry: dict[str, Any], where: str) -> int | None:
    for name in ("max_tokens", "output_tokens"):
        found = entry.get(name)
        if found is None:
            continue
        if isinstance(found, bool) or not isinstance(found, int) or found < 1:
            raise ConfigError(f"{where}: {name}: {found!r} is no number of tokens")
        return found
    return None
