"""Mends YAML that does not parse, where what was meant is clear: keys in the wrong column of their
mapping, and values that begin with a character YAML keeps for itself. Text in, text out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

KEY = re.compile(
    r"^(?P<dashes>(?:- +)*)(?P<key>[\w.$/-]+|\"[^\"]*\"|'[^']*'):(?:\s+(?P<value>.*))?$"
)
RESERVED = re.compile(r"!+$|[@`%]")  # no plain value may be, or begin with, one of these


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that was mended."""

    line: int  # counted from 0
    said: str


@dataclass(frozen=True, slots=True)
class Repaired:
    """A text that parses, and what was done to it."""

    text: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """What one line of YAML holds, as far as indentation is concerned."""

    number: int
    column: int  # of its first character
    key_column: int | None  # of its key; None: it holds none
    key: str
    value: str  # without its comment
    is_item: bool  # whether it begins an item of a list


def repair(text: str) -> Repaired | None:
    """The text mended; None where it cannot be, or there is nothing to mend."""
    if _parses(text):
        return None
    lines, changes = text.split("\n"), list[Change]()
    while not _parses(_joined(lines)):
        if len(changes) > len(lines) or (change := _mend_once(lines)) is None:
            return None
        changes.append(change)
    return Repaired(_joined(lines), tuple(changes))


def _mend_once(lines: list[str]) -> Change | None:
    """Mend the first fault that is understood, in place."""
    read = _read(lines)
    return _quote(lines, read) or _indent(lines, read)


def _quote(lines: list[str], read: Sequence[Line]) -> Change | None:
    for line in read:
        if RESERVED.match(line.value):
            quoted = f'"{line.value}"'
            before, _, after = lines[line.number].partition(line.value)
            lines[line.number] = before + quoted + after
            return Change(line.number, f"the value of {line.key} begins with {line.value[0]}")
    return None


def _indent(lines: list[str], read: Sequence[Line]) -> Change | None:
    open_keys: list[int] = []  # columns of the mappings that a line may continue
    open_lists: list[int] = []
    for index, line in enumerate(read):
        before = read[index - 1] if index else None
        if line.key_column is None:
            continue
        open_keys = [each for each in open_keys if each <= line.column]
        open_lists = [each for each in open_lists if each <= line.column]
        if not line.is_item:
            if before is not None and _too_deep(line, before):
                assert before.key_column is not None
                return _shift(lines, read, index, before.key_column - line.column)
            if line.column in open_lists and line.column not in open_keys:
                return _shift(lines, read, index, _item_width(read, index, line.column))
        else:
            open_lists.append(line.column)
        open_keys.append(line.key_column)
    return None


def _too_deep(line: Line, before: Line) -> bool:
    """Whether it is indented like a child of what already has a value."""
    return bool(before.value) and before.key_column is not None and line.column > before.key_column


def _item_width(read: Sequence[Line], index: int, column: int) -> int:
    """How far an item's keys are from its dash, in the list that begins at `column`."""
    for line in reversed(read[:index]):
        if line.is_item and line.column == column and line.key_column is not None:
            return line.key_column - column
    return 2


def _shift(lines: list[str], read: Sequence[Line], index: int, by: int) -> Change:
    """Move a key, all that stands below it and its later siblings by some columns."""
    first = read[index]
    end = _end_of_block(read, index)
    last = read[end].number if end < len(read) else len(lines)
    for number in range(first.number, last):
        if by > 0 and lines[number].strip():
            lines[number] = " " * by + lines[number]
        elif by < 0:
            spaces = len(lines[number]) - len(lines[number].lstrip())
            lines[number] = lines[number][min(-by, spaces) :]
    return Change(first.number, f"{first.key} stands in the wrong column of its mapping")


def _end_of_block(read: Sequence[Line], index: int) -> int:
    """Where a line is further left, or the list that this key is an item's of goes on."""
    column = read[index].column
    own_list = False  # the last key in this column has a list, in this column too
    for number in range(index, len(read)):
        line, before = read[number], read[number - 1]
        if line.column < column:
            return number
        if line.column > column:
            continue
        if not line.is_item:
            own_list = False
            continue
        own_list = own_list or (before.column == column and not before.is_item and not before.value)
        if not own_list:
            return number
    return len(read)


def _read(lines: Sequence[str]) -> list[Line]:
    """The lines that count: no comments, no text of block scalars."""
    found: list[Line] = []
    text_right_of: int | None = None
    for number, raw in enumerate(lines):
        stripped = raw.strip()
        column = len(raw) - len(raw.lstrip())
        if not stripped or stripped.startswith("#"):
            continue
        if text_right_of is not None and column > text_right_of:
            continue
        text_right_of = None
        is_item = stripped.startswith("- ") or stripped == "-"
        match = KEY.match(stripped)
        if match is None:
            found.append(Line(number, column, None, "", stripped, is_item))
            continue
        value = re.sub(r"(^|\s)#.*$", "", match["value"] or "").strip()
        key_column = column + len(match["dashes"])
        found.append(Line(number, column, key_column, match["key"], value, is_item))
        if value[:1] in {"|", ">"} and value:
            text_right_of = key_column
    return found


def _parses(text: str) -> bool:
    try:
        list(yaml.load_all(text, Loader=yaml.CSafeLoader))
    except (yaml.YAMLError, RecursionError):
        return False
    return True


def _joined(lines: Sequence[str]) -> str:
    return "\n".join(lines)
