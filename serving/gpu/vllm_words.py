"""Words to and from vLLM: settings as its command line takes them, its errors as one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

PYDANTIC_HEAD = "validation error"
LONGEST_SENTENCE = 400


def command_words(arguments: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    """The command line that says `arguments`; what only repeats a default is left out.

    vLLM turns words into its own nested settings, so going through them gives every argument the
    conversion and the checks that its command line has.
    """
    words: list[str] = []
    for name, value in arguments.items():
        if value is not None and not _same(value, defaults.get(name)):
            words += _words(f"--{name.replace('_', '-')}", value)
    return words


def _same(value: object, default: object) -> bool:
    return type(value) is type(default) and value == default


def _words(flag: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag.removeprefix('--')}"]
    if isinstance(value, list | tuple):
        return [flag, *(_word(item) for item in value)]
    return [f"{flag}={_word(value)}"]


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def one_sentence(text: str) -> str:
    """What an error says, on one line: pydantic's heading and its links are left out, and so are
    last words that only announce further lines ("Reasons:").
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and PYDANTIC_HEAD in lines[0]:
        lines = [line for line in lines[1:] if not line.startswith("For further information")]
    text = " ".join(lines).partition(" [type=")[0].removeprefix("Value error, ")
    said, stop, announced = text.rpartition(". ")
    text = said + "." if stop and announced.endswith(":") else text
    return text if len(text) <= LONGEST_SENTENCE else f"{text[:LONGEST_SENTENCE]}…"
