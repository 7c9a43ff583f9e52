"""Looks into data that may be of any shape: what is not as expected is as if it were not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inference.check.document import Document, Path


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> Sequence[Any]:
    """The value if it is a list."""
    return value if isinstance(value, list) else []


def at(value: Any, *path: str | int) -> Any:
    """What is there, if anything is."""
    for part in path:
        if isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            value = mapping(value).get(part) if isinstance(part, str) else None
    return value


def pairs(document: Document) -> Iterator[tuple[Path, Any]]:
    """Everything that is written in a document, and where."""
    for path in sorted(document.marks, key=lambda each: document.marks[each].line):
        yield path, at(document.data, *path)


QUANTITIES = {
    "": 1.0,
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
}


def quantity(value: Any) -> float | None:
    """Kubernetes' amounts: 4, 500m, 16Gi; None for what is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        return None
    digits = value.rstrip("numkMGTPEi")
    suffix = value[len(digits) :]
    try:
        return float(digits) * QUANTITIES[suffix]
    except (ValueError, KeyError):
        return None
