"""A table that is written as Markdown or CSV, and the table of all runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from inference.bench.report import text
from inference.bench.report.columns import COLUMNS
from inference.bench.report.model import RunReport
from inference.bench.report.text import ABSENT, Cell


@dataclass(frozen=True, slots=True)
class Column:
    """As people read it."""

    heading: str
    cells: list[str]
    numeric: bool


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and rows; None is a figure that was not measured."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    absent: str = ""  # what CSV writes for None

    def csv(self) -> str:
        """Full precision, for other programs."""
        whole = io.StringIO()
        writer = csv.writer(whole, lineterminator="\n")
        writer.writerow(self.headings)
        writer.writerows(
            [self.absent if each is None else each for each in row] for row in self.rows
        )
        return whole.getvalue()

    def columns(self) -> list[Column]:
        """For people: rounded, each float with as many decimals as its neighbours in the column."""
        values = zip(*self.rows, strict=True) if self.rows else [()] * len(self.headings)
        return [
            Column(heading, text.column(each), _is_numeric(each))
            for heading, each in zip(self.headings, values, strict=True)
        ]

    def markdown(self) -> str:
        """Columns of numbers are aligned at the right."""
        columns = self.columns()
        marks = ["---:" if each.numeric else "---" for each in columns]
        rows = zip(*(each.cells for each in columns), strict=True)
        lines = [self.headings, marks, *rows]
        return "\n".join(f"| {' | '.join(_escaped(each) for each in line)} |" for line in lines)


def runs(reports: Sequence[RunReport]) -> Table:
    """One row for each run; names are stable and carry their units."""
    return Table(
        headings=tuple(each.name for each in COLUMNS),
        rows=tuple(tuple(each.of(run) for each in COLUMNS) for run in reports),
    )


def _is_numeric(values: Sequence[Cell]) -> bool:
    return any(isinstance(value, int | float) for value in values) or (
        len(values) > 0 and all(value in (None, ABSENT) for value in values)
    )


def _escaped(line: str) -> str:
    """Text that comes from servers and files must not end a cell or a row."""
    return " ".join(line.split()).replace("|", "\\|")
