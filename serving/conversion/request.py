"""What a converter is asked for, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serving.conversion.workplace import Progress


@dataclass(frozen=True, slots=True)
class Request:
    """One conversion."""

    model_dir: Path
    target: Path
    data_type: str
    trust_remote_code: bool = False


class Deviation(Protocol):
    """How near what was made is to its checkpoint; its text is one sentence of figures."""

    def different_answers(self) -> list[str]:
        """A line for each answer that is another one now."""


@dataclass(frozen=True, slots=True)
class Converted:
    """The folder that was made, and how near it is to the checkpoint; None: made by another."""

    folder: Path
    deviation: Deviation | None


Convert = Callable[[Request, Progress], Converted]
"""Returns when the target is there, whole and checked; raises ConfigError where that cannot be."""
