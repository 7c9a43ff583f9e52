"""A table that is written as Markdown or CSV, and the table of all runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from inference.bench.report.columns import COLUMNS
from inference.bench.report.model import RunReport
from inference.bench.report.text import ABSENT, Cell, column


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and rows; None is a figure that was not measured."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    absent: str = ""  # what CSV writes for None

    def csv(self) -> str:
        """Full precision, for other programs."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.headings)
        writer.writerows(
            [self.absent if each is None else each for each in row] for row in self.rows
        )
        return text.getvalue()

    def markdown(self) -> str:
        """Rounded, for people; columns of numbers are aligned at the right."""
        columns = list(zip(*self.rows, strict=True)) if self.rows else [()] * len(self.headings)
        cells = list(zip(*(column(each) for each in columns), strict=True))
        marks = ["---:" if _is_numeric(each) else "---" for each in columns]
        lines = [self.headings, marks, *cells]
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


def _escaped(text: str) -> str:
    """Text that comes from servers and files must not end a cell or a row."""
    return " ".join(text.split()).replace("|", "\\|")
