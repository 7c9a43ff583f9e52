"""Findings as people read them, as JSON, and as GitHub's annotations of a change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Literal

from rich.console import Console
from rich.text import Text

from inference.check.finding import Finding, errors

Format = Literal["text", "json", "github"]

STYLES = {"error": "bold red", "warning": "yellow"}
ESCAPES = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
PROPERTY_ESCAPES = {**ESCAPES, ord(":"): "%3A", ord(","): "%2C"}


def print_text(findings: Sequence[Finding], console: Console) -> None:
    """For a terminal: file by file, line by line, then how many."""
    for file, found in groupby(findings, key=lambda each: each.file):
        console.print(Text(file, style="bold"))
        for each in found:
            head = Text.assemble(
                (f"{each.line:>5}  ", "dim"),
                (f"{each.severity:<8}", STYLES[each.severity]),
                (each.message, ""),
                (f"  [{each.rule}]", "dim"),
            )
            console.print(head, soft_wrap=True)
            console.print(Text(f"{'':15}→ {each.fix}", style="green"), soft_wrap=True)
    console.print(summary(findings))


def as_json(findings: Sequence[Finding]) -> str:
    """One object: the findings, and how many of each severity."""
    num_errors = len(errors(findings))
    counted = {"num_errors": num_errors, "num_warnings": len(findings) - num_errors}
    return json.dumps({**counted, "findings": [asdict(each) for each in findings]}, indent=2)


def as_github(findings: Sequence[Finding]) -> str:
    """One workflow command a line, which GitHub shows beside the line of the change."""
    return "\n".join(
        f"::{each.severity} file={each.file.translate(PROPERTY_ESCAPES)},line={each.line},"
        f"title={each.rule}::{f'{each.message}; {each.fix}'.translate(ESCAPES)}"
        for each in findings
    )


def summary(findings: Sequence[Finding]) -> str:
    """How many there are, in words."""
    num_errors = len(errors(findings))
    num_warnings = len(findings) - num_errors
    if not findings:
        return "nothing to complain about"
    words = [_counted(num_errors, "error"), _counted(num_warnings, "warning")]
    return " and ".join(word for word in words if word)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""
