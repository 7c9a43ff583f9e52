"""Changes to YAML as it is written: lines in, lines out, all that is not changed byte for byte.

A key is found by its mark; after one change all marks are stale, so that a file is read again
before the next. What stands between { } or [ ] is not taken apart: CannotEdit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from inference.check.document import Document, Mark, Path
from inference.check.look import at

STEP = 2  # columns from a key to those below it


class CannotEdit(Exception):
    """What would have to change is written in a way that is left to its author."""


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def rename(lines: Sequence[str], document: Document, path: Path, new: str) -> list[str]:
    """The key at `path` under another name."""
    mark, old = _mark(document, path), str(path[-1])
    line = lines[mark.line]
    before, key = line[: mark.column], line[mark.column :]
    if not key.startswith(old):
        raise CannotEdit
    return _with(lines, mark.line, [before + new + key[len(old) :]])


def set_value(lines: Sequence[str], document: Document, path: Path, value: str) -> list[str]:
    """Another value, as YAML writes it, for one that stands on one line."""
    mark = _mark(document, path)
    if mark.end_line != mark.value_line or mark.style in {"|", ">"}:
        raise CannotEdit
    line = lines[mark.value_line]
    changed = line[: mark.value_column] + value + line[mark.end_column :]
    return _with(lines, mark.value_line, [changed])


def remove(lines: Sequence[str], document: Document, path: Path) -> list[str]:
    """Without a key and its value; a mapping that is left with nothing is written {}."""
    mark = _block(document, path)
    siblings = [
        document.marks[each] for each in document.marks if each[:-1] == path[:-1] and each != path
    ]
    left = lines[mark.line][: mark.column]
    changed = _with(lines, mark.line, [], mark.end_line)
    if not siblings:
        return _emptied(changed, document, path[:-1])
    if "-" in left:  # it was the first of an item: the next one is now
        following = min(each.line for each in siblings) - (mark.end_line - mark.line + 1)
        changed[following] = left + changed[following][mark.column :]
    return changed


def add_key(
    lines: Sequence[str],
    document: Document,
    path: Path,
    key: str,
    value: Any,
    *,
    after: str | None = None,
) -> list[str]:
    """One more key in the mapping at `path`: behind another of its keys, or at its end."""
    column = _children_column(document, path)
    opened, end = _opened(lines, document, path), _end(document, path)
    if after is not None and (*path, after) in document.marks:
        end = _end(document, (*path, after))
    return _with(opened, end + 1, _written({key: value}, column), replaced=False)


def add_item(lines: Sequence[str], document: Document, path: Path, value: Any) -> list[str]:
    """One more item at the end of the list at `path`, which is not empty."""
    first = _block(document, (*path, 0))
    dash = lines[first.line].rindex("-", 0, first.column)
    return _with(lines, _end(document, path) + 1, _written([value], dash), replaced=False)


def move(
    lines: Sequence[str], document: Document, path: Path, into: Path, *, name: str | None = None
) -> list[str]:
    """A key, with the comments in its lines, at the end of the mapping at `into`, which is made
    where its own mapping has none.
    """
    mark = _block(document, path)
    if into and into not in document.marks:
        return _wrap(lines, document, path, str(into[-1]))
    if mark.line != mark.end_line and name is not None:
        raise CannotEdit
    moved = _below(lines, mark, _children_column(document, into))
    if name is not None:
        moved[0] = moved[0].replace(str(path[-1]), name, 1)
    end = _end(document, into)
    if mark.line > end:
        changed = remove(lines, document, path)
        return _with(_opened(changed, document, into), end + 1, moved, replaced=False)
    changed = _with(_opened(lines, document, into), end + 1, moved, replaced=False)
    return remove(changed, document, path)


def _wrap(lines: Sequence[str], document: Document, path: Path, parent: str) -> list[str]:
    """A new key where this one was, with this one below it."""
    mark = _block(document, path)
    left = lines[mark.line][: mark.column]
    inner = _below(lines, mark, mark.column + STEP)
    return _with(lines, mark.line, [f"{left}{parent}:", *inner], mark.end_line)


def _below(lines: Sequence[str], mark: Mark, column: int) -> list[str]:
    """A key and its value, as they would stand in another column."""
    first, *others = lines[mark.line : mark.end_line + 1]
    moved = [" " * column + first[mark.column :]]
    for line in others:
        spaces = len(line) - len(line.lstrip())
        left = max(0, spaces + column - mark.column)
        moved.append(" " * left + line[spaces:] if line.strip() else line)
    return moved


def _opened(lines: Sequence[str], document: Document, path: Path) -> list[str]:
    """With the {} of an empty mapping taken away, so that keys can stand below."""
    if not path or at(document.data, *path):
        return list(lines)
    mark = _mark(document, path)
    line = lines[mark.value_line]
    if mark.value_line != mark.line or line[mark.value_column : mark.end_column] not in {"", "{}"}:
        raise CannotEdit
    rest = line[mark.end_column :]
    changed = line[: mark.value_column].rstrip() + (f" {rest.lstrip()}" if rest.strip() else "")
    return _with(lines, mark.line, [changed])


def _emptied(lines: list[str], document: Document, path: Path) -> list[str]:
    """With {} for the value of a key whose last key below it has gone."""
    if not path or isinstance(path[-1], int):
        raise CannotEdit
    mark = _block(document, path)
    line = lines[mark.line]
    end = line.index(":", mark.column + len(str(path[-1]))) + 1
    return _with(lines, mark.line, [f"{line[:end]} {{}}{line[end:]}"])


def _children_column(document: Document, path: Path) -> int:
    """Where the keys of a mapping stand, or would."""
    children = [
        document.marks[each] for each in document.marks if each[:-1] == path and each != path
    ]
    if any(each.in_flow for each in children):
        raise CannotEdit
    if children:
        return min(each.column for each in children)
    return _block(document, path).column + STEP


def _end(document: Document, path: Path) -> int:
    """The last line of what is at `path`."""
    if path:
        return document.marks[path].end_line
    return max(each.end_line for each in document.marks.values())


def _mark(document: Document, path: Path) -> Mark:
    if path not in document.marks or not document.as_written:
        raise CannotEdit
    return document.marks[path]


def _block(document: Document, path: Path) -> Mark:
    """The mark of what is written in lines of its own."""
    mark = _mark(document, path)
    if mark.in_flow:
        raise CannotEdit
    return mark


def _written(value: Any, column: int) -> list[str]:
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=False, indent=STEP)
    own = (
        [line[STEP:] for line in text.splitlines()]
        if isinstance(value, list)
        else text.splitlines()
    )
    return [" " * column + line for line in own]


def _with(
    lines: Sequence[str],
    start: int,
    new: Sequence[str],
    end: int | None = None,
    *,
    replaced: bool = True,
) -> list[str]:
    """With `new` for the lines from `start` to `end`, or before `start` where none is replaced."""
    after = (start if end is None else end) + 1 if replaced else start
    return [*lines[:start], *new, *lines[after:]]
