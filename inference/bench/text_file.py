"""A file that a user names: its text, its lines, its JSON, and every mistake with its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serving.errors import ConfigError


def read_text(path: Path, option: str) -> str:
    """Raises ConfigError naming `option` if there is no such file or it is no text."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{option}: {path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{option}: {path} is not UTF-8; convert it") from error


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, numbered from 1 as editors do."""
    # Not splitlines(): it also cuts at U+2028 and others, which JSON allows inside of strings.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line


def parse_json(text: str, path: Path, first_line: int = 1) -> Any:
    """Raises ConfigError naming the line of `path`; `first_line` is where `text` begins in it."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise ConfigError(f"{path}:{line}: not JSON: {error.msg} (column {error.colno})") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, deep nesting
        raise ConfigError(f"{path}:{first_line}: not JSON that can be read: {error}") from error
