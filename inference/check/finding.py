"""What a check found: where, which rule, why it matters, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inference.check.rules import Severity


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One mistake in one line of one file."""

    file: str
    line: int  # counted from 1
    rule: str  # a name in rules.RULES
    severity: Severity
    message: str  # the key, what is wrong with it, and why
    fix: str  # what to do about it

    @property
    def sentence(self) -> str:
        """The whole of it in one line."""
        return f"{self.file}:{self.line}: {self.message}; {self.fix}"


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Those that will not work, without those that are only worth knowing."""
    return [each for each in findings if each.severity == "error"]
