"""Reads traces of real traffic: when requests came, and how long they and their answers were.

Three kinds: Mooncake's JSONL (`timestamp` in ms, `input_length`, `output_length`; its `hash_ids`
are not used), Azure's LLM inference CSV (`TIMESTAMP`, `ContextTokens`, `GeneratedTokens`), and our
own JSONL (`at_s`, `prompt_tokens`, `output_tokens`). The first line tells which it is. A length
of 0 counts as 1, since nobody can ask for less.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inference.bench.arrivals import Replay
from inference.bench.prompts.lengths import MOST_TOKENS
from inference.bench.text_file import numbered_lines, parse_json, read_text
from serving.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Entry:
    """One request of a trace."""

    at_s: float
    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Trace:
    """Entries from time 0 on, in order; at least one."""

    entries: tuple[Entry, ...]

    def arrivals(self, speed: float) -> Replay:
        """Raises ConfigError for a speed that is none."""
        if not 0 < speed < math.inf:
            raise ConfigError(f"--trace-speed: {speed:g} is no speed; 2 is twice as fast")
        return Replay(tuple(entry.at_s for entry in self.entries), speed)


def _wall_clock_s(text: str) -> float:
    time = datetime.fromisoformat(text)
    # Without a zone it is read as UTC: a local clock would jump in spring and autumn.
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


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
    _Kind("TIMESTAMP", "ContextTokens", "GeneratedTokens", _wall_clock_s),
)


def read_trace(path: Path) -> Trace:
    """Raises ConfigError naming the file, the line and what is wrong."""
    kind: _Kind | None = None
    entries: list[Entry] = []
    for number, row in _rows(path):
        where = f"{path}:{number}"
        kind = kind or _kind(row, where)
        entry = _entry(row, kind, where)
        if entries and entry.at_s < entries[-1].at_s:
            raise ConfigError(f"{where}: it is earlier than the line before; sort the file by time")
        entries.append(entry)
    if not entries:
        raise ConfigError(f"--trace: {path} holds no request")
    return Trace(tuple(_since(entries[0].at_s, entry) for entry in entries))


def _since(first_s: float, entry: Entry) -> Entry:
    return Entry(entry.at_s - first_s, entry.prompt_tokens, entry.output_tokens)


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Lines with their numbers."""
    text = read_text(path, "--trace")
    if path.suffix == ".csv":
        yield from _table(text, path)
        return
    for number, line in numbered_lines(text):
        row = parse_json(line, path, number)
        if not isinstance(row, dict):
            raise ConfigError(f"{path}:{number}: a line must be a JSON object")
        yield number, row


def _table(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text))
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise ConfigError(f"{path}:{reader.line_num + 1}: not CSV: {error}") from error


def _kind(row: Mapping[str, Any], where: str) -> _Kind:
    for kind in KINDS:
        if kind.at in row:
            return kind
    known = " or ".join(kind.at for kind in KINDS)
    raise ConfigError(f"{where}: it has no {known}, so it is no trace known here")


def _entry(row: Mapping[str, Any], kind: _Kind, where: str) -> Entry:
    return Entry(
        _number(row, kind.at, kind.seconds, where),
        _num_tokens(row, kind.prompt_tokens, where),
        _num_tokens(row, kind.output_tokens, where),
    )


def _num_tokens(row: Mapping[str, Any], name: str, where: str) -> int:
    number = _number(row, name, float, where)
    if not (0 <= number <= MOST_TOKENS and number.is_integer()):
        raise ConfigError(f"{where}: {name}: {row[name]!r} is no number of tokens")
    return max(1, int(number))


def _number(row: Mapping[str, Any], name: str, read: Callable[[Any], float], where: str) -> float:
    value = row.get(name)
    if value is None:
        raise ConfigError(f"{where}: {name} is missing")
    try:
        found = math.nan if isinstance(value, bool) else read(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise ConfigError(f"{where}: {name}: {value!r} is no number or time")
    return found
