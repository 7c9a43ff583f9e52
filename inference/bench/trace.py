"""Reads traces of real traffic: when requests came, and how long they and their answers were.

Three kinds: Mooncake's JSONL (`timestamp` in ms, `input_length`, `output_length`; its `hash_ids`
are not used), Azure's LLM inference CSV (`TIMESTAMP`, `ContextTokens`, `GeneratedTokens`), and our
own JSONL (`at_s`, `prompt_tokens`, `output_tokens`).
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from inference.bench.arrivals import Replay
from serving.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Entry:
    """One request of a trace."""

    at_s: float
    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Trace:
    """Entries from time 0 on, in order."""

    entries: tuple[Entry, ...]

    def arrivals(self, speed: float) -> Replay:
        """Raises ConfigError for a speed that is none."""
        if not 0 < speed < math.inf:
            raise ConfigError(f"--trace-speed: {speed:g} is no speed; 2 is twice as fast")
        return Replay(tuple(entry.at_s for entry in self.entries), speed)


@dataclass(frozen=True, slots=True)
class _Kind:
    """The names a kind of trace uses, and how it says times."""

    at: str
    prompt_tokens: str
    output_tokens: str
    seconds: Callable[[Any], float]


KINDS = (
    _Kind("at_s", "prompt_tokens", "output_tokens", float),
    _Kind("timestamp", "input_length", "output_length", lambda ms: float(ms) / 1000),
    _Kind(
        "TIMESTAMP",
        "ContextTokens",
        "GeneratedTokens",
        lambda text: datetime.fromisoformat(text).timestamp(),
    ),
)


def read_trace(path: Path) -> Trace:
    """Raises ConfigError naming the file, the line and what is wrong."""
    entries: list[Entry] = []
    for number, row in _rows(path):
        entry = _entry(row, f"{path}:{number}")
        if entries and entry.at_s < entries[-1].at_s:
            raise ConfigError(f"{path}:{number}: it is earlier than the line before; sort the file")
        entries.append(entry)
    if not entries:
        raise ConfigError(f"{path}: it holds no request")
    first_s = entries[0].at_s
    return Trace(
        tuple(
            Entry(each.at_s - first_s, each.prompt_tokens, each.output_tokens) for each in entries
        )
    )


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Lines with their numbers."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--trace: {path} cannot be read: {_reason(error)}") from error
    if path.suffix == ".csv":
        yield from enumerate(csv.DictReader(text.splitlines()), start=2)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, _json_object(line, f"{path}:{number}")


def _json_object(line: str, where: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{where}: not JSON: {error.msg}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{where}: a line must be a JSON object")
    return found


def _entry(row: Mapping[str, Any], where: str) -> Entry:
    for kind in KINDS:
        if kind.at in row:
            break
    else:
        known = " or ".join(kind.at for kind in KINDS)
        raise ConfigError(f"{where}: it has no {known}, so it is no trace known here")
    return Entry(
        _number(row, kind.at, kind.seconds, where),
        max(1, _count(row, kind.prompt_tokens, where)),
        max(1, _count(row, kind.output_tokens, where)),
    )


def _count(row: Mapping[str, Any], name: str, where: str) -> int:
    number = _number(row, name, float, where)
    if number != int(number) or number < 0:
        raise ConfigError(f"{where}: {name}: {row[name]!r} is no number of tokens")
    return int(number)


def _number(row: Mapping[str, Any], name: str, read: Callable[[Any], float], where: str) -> float:
    if row.get(name) is None:
        raise ConfigError(f"{where}: {name} is missing")
    try:
        found = read(row[name])
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise ConfigError(f"{where}: {name}: {row[name]!r} is not a number or time")
    return found


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8"
