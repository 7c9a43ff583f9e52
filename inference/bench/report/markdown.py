"""A report as Markdown: everything but the plots, for terminals, tickets and repositories."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from inference.bench.report import headline, sections
from inference.bench.report.model import Comparison, Report
from inference.bench.report.table import Table


def render(report: Report) -> str:
    """The whole report; sections without content are left out."""
    return "\n\n".join(part for part in _parts(report) if part) + "\n"


def _parts(report: Report) -> Iterator[str]:
    yield f"# {_line(report.title)}"
    yield f"**{_line(headline.sentence(report))}**"
    for warning in headline.warnings(report):
        yield f"**Warning: {_line(warning)}**"
    yield _items([f"{label}: {fact}" for label, fact in sections.origin(report)])
    yield _table("Runs", sections.runs(report.runs))
    if report.knee is not None:
        yield _section("Knee", f"{_line(report.knee.run)}: {_line(report.knee.reason)}")
    if report.comparison is not None:
        yield from _comparison(report.comparison)
    yield _table("Errors", sections.errors(report.runs))
    yield _table("Nodes", sections.nodes(report.runs))
    yield _table("Client", sections.client(report.runs))
    yield _section("Notes", _items(headline.notes(report)))
    yield _table("Settings", sections.settings(report.settings))
    yield _section("Command", f"```sh\n{shlex.join(report.command)}\n```")


def _comparison(comparison: Comparison) -> Iterator[str]:
    yield _table("Gates", sections.gates(comparison))
    yield _table("Ratios", sections.ratios(comparison))
    yield _table("Parity", sections.parity(comparison))


def _section(heading: str, body: str) -> str:
    return f"## {heading}\n\n{body}" if body else ""


def _table(heading: str, table: Table) -> str:
    return _section(heading, table.markdown() if table.rows else "")


def _items(lines: list[str]) -> str:
    return "\n".join(f"- {_line(line)}" for line in lines)


def _line(text: str) -> str:
    """Text of servers and users stays in one paragraph."""
    return " ".join(text.split())
