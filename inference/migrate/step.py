"""What a step of a migration is: looks at what is there, and makes one change or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inference.check.document import Document, Path


@dataclass(frozen=True, slots=True)
class Step:
    """One change that could be made: where, why, and how."""

    document: Document
    path: Path
    said: str
    edit: Callable[[Sequence[str]], list[str]]  # may raise CannotEdit

    @property
    def note(self) -> str:
        """For the person who reads the diff."""
        place = ".".join(str(part) for part in (*self.document.root, *self.path))
        return f"{place}: {self.said}"
