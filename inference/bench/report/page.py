"""A report as one HTML page: no script, no network, light, dark and on paper.

Needs matplotlib, so only those who write pages import this.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import jinja2
from markupsafe import Markup

from inference.bench.report import columns, headline, sections
from inference.bench.report.model import Report
from inference.bench.report.plots import forests
from inference.bench.report.plots.galleries import galleries
from inference.bench.report.plots.gallery import Gallery
from inference.bench.report.table import Column, Table

HERE = Path(__file__).parent


def render(report: Report) -> str:
    """The whole page."""
    return _template().render(
        report=report,
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        sentence=headline.sentence(report),
        tiles=headline.tiles(report),
        warnings=headline.warnings(report),
        runs=main_table(report),
        comparison=comparison_parts(report),
        galleries=list(galleries(report)),
        tables=other_tables(report),
        notes=headline.notes(report),
        origin=sections.origin(report),
        command=shlex.join(report.command),
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("page.html.j2")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading over one column, or over several that have headings of their own."""

    title: str
    under: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MainTable:
    """The runs; its headings have two rows."""

    headings: list[Heading]
    columns: list[Column]
    knee: str | None  # the run that is marked

    def rows(self) -> list[tuple[str, ...]]:
        return list(zip(*(column.cells for column in self.columns), strict=True))


def main_table(report: Report) -> MainTable:
    """What Markdown shows too, with its headings in groups."""
    shown = columns.shown(report.runs)
    return MainTable(
        headings=headings([column for column, _ in shown]),
        columns=Table(
            tuple(column.title for column, _ in shown),
            tuple(zip(*(cells for _, cells in shown), strict=True)),
        ).columns(),
        knee=report.knee.run if report.knee else None,
    )


def headings(shown: list[columns.Column]) -> list[Heading]:
    """Columns of one group, side by side, share a heading. Pure."""
    found: list[Heading] = []
    for group, members in groupby(shown, key=lambda column: column.group):
        under = tuple(column.heading for column in members)
        if not group:
            found += [Heading(each) for each in under]
        elif under == ("",):
            found.append(Heading(group))
        else:
            found.append(Heading(group, tuple(each or "total" for each in under)))
    return found


def comparison_parts(report: Report) -> list[tuple[Table, Gallery]]:
    """Tables with their plots; verdicts first, since they are what was asked for."""
    comparison = report.comparison
    if comparison is None:
        return []
    found = [
        (sections.gates(comparison), forests.gates(comparison)),
        (sections.ratios(comparison), forests.ratios(comparison)),
        (sections.parity(comparison), Gallery("Parity", "", (), ())),
    ]
    return [(table, gallery) for table, gallery in found if table.rows]


def other_tables(report: Report) -> list[tuple[str, Table]]:
    """What is looked up rather than read."""
    found = [
        ("Errors", sections.errors(report.runs)),
        ("Nodes", sections.nodes(report.runs)),
        ("Client", sections.client(report.runs)),
        ("Settings", sections.settings(report.settings)),
    ]
    return [(title, table) for title, table in found if table.rows]
